-- ARGV: lane, host, now, until.
local lane, host, now, ends = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key = P .. 'lane:' .. lane
local held = call('HMGET', key, 'host', 'token', 'expires')
local token = held[2]
if held[1] ~= host then
    if held[1] and tonumber(held[3]) > tonumber(now) then
        return { 'held' }
    end
    token = call('INCR', P .. 'token')
end
call('HSET', key, 'host', host, 'token', token, 'expires', ends)
call('ZADD', P .. 'leases', ends, lane)
return { 'ok', token }
