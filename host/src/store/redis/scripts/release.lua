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
call('DEL', P .. 'lane:' .. lane)
call('ZREM', P .. 'leases', lane)
return { release }
