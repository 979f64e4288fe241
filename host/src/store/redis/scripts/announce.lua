-- ARGV: the host, what it says, now, until when that holds, how many hosts there may be. Answers how many there are.
local host, times, states = ARGV[1], P .. 'host-times', P .. 'hosts'
for _, gone in ipairs(call('ZRANGEBYSCORE', times, '-inf', ARGV[3])) do
    call('ZREM', times, gone)
    call('HDEL', states, gone)
end
if not call('ZSCORE', times, host) and call('ZCARD', times) >= tonumber(ARGV[5]) then
    return { 'full' }
end
call('HSET', states, host, ARGV[2])
call('ZADD', times, ARGV[4], host)
return { 'ok', call('ZCARD', times) }
