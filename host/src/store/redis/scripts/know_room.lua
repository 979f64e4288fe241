-- ARGV: lane, name, read_to, heard. Answers these as they are known then.
local key = P .. 'room:' .. ARGV[1]
if call('EXISTS', key) == 0 then
    call('HSET', key, 'name', ARGV[2], 'read_to', ARGV[3], 'heard', ARGV[4])
    call('ZADD', P .. 'rooms', ARGV[4], ARGV[1])
end
local room = call('HMGET', key, 'name', 'read_to', 'heard')
return { 'ok', room[1], room[2], room[3] }
