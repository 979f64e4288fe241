-- ARGV: lane, token.
local lane = ARGV[1]
local refused = lost(lane, ARGV[2])
if refused then
    return refused
end
local release = 'idle'
if unfinished(lane) > 0 then
    if not is_paused(lane) then
        return { 'kept' }
    end
    release = 'paused'
end
-- Where it was is kept until the sweep after the lease would have expired: something may be warm there.
local key = P .. 'lane:' .. lane
call('HSET', key, 'last', call('HGET', key, 'host'))
call('HDEL', key, 'host', 'token', 'expires')
call('ZADD', P .. 'lanes-held', 'XX', 0, lane)
if release == 'idle' then
    call('HDEL', key, 'told_full')
end
return { release }
