-- ARGV: event; its state and its retries as they were read; 'anew', or 'post' with the states its parts have from now on.
-- Answers 'again' if it has changed since it was read.
local id = ARGV[1]
local key = P .. 'event:' .. id
local event = call('HMGET', key, 'state', 'retries', 'lane', 'attempt')
if event[1] ~= ARGV[2] or event[2] ~= ARGV[3] then
    return { 'again' }
end
if ARGV[4] == 'anew' then
    for part = 0, #states(key) - 1 do
        call('HDEL', key, 'p' .. part, 's' .. part)
    end
    call('HSET', key, 'parts', 0)
    call('HDEL', key, 'verdict', 'details')
else
    for position = 5, #ARGV do
        call('HSET', key, 's' .. (position - 5), ARGV[position])
    end
end
local lane, sequence = event[3], call('INCR', P .. 'sequence')
call('HSET', key, 'sequence', sequence, 'state', 'waiting', 'earlier', event[4])
call('HINCRBY', key, 'retries', 1)
call('HDEL', key, 'ended', 'note', 'stopped')
call('ZREM', P .. 'ended', id)
call('ZREM', P .. 'failed', id)
call('ZREM', P .. 'failed:' .. bot_of(lane), id)
call('ZADD', P .. 'queue:' .. lane, sequence, id)
index_lane(lane)
return { 'ok' }
