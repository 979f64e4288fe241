-- ARGV: lane, host, now or nothing for Redis' own time, for how long; 'politely' or 'insistently' from a host that asks because
-- something waits there, else nothing.
local lane, host, now, manner = ARGV[1], ARGV[2], lease_time(ARGV[3]), ARGV[5]
local key = P .. 'lane:' .. lane
local held = call('HMGET', key, 'host', 'token', 'expires', 'last')
local token, last = held[2], held[4]
if held[1] ~= host then
    if held[1] and tonumber(held[3]) > now then
        return { 'held' }
    end
    if manner ~= '' and (unfinished(lane) == 0 or is_paused(lane)) then
        return { 'idle' }
    end
    if manner == 'politely' and last and last ~= host and tell(last, 'take ' .. host .. ' ' .. lane) then
        return { 'called', oldest(lane) }
    end
    token = call('INCR', P .. 'token')
end
local ends = so_long_after(now, ARGV[4])
call('HDEL', key, 'last')
call('HSET', key, 'host', host, 'token', token, 'expires', ends)
index_lease(lane, ends)
return { 'ok', token }
