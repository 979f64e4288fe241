-- ARGV: lane, name, read_to, heard. Answers these as they are known then.
local key = P .. 'room:' .. ARGV[1]
if call('EXISTS', key) == 0 then
    keep_room(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
end
local room = call('HMGET', key, 'name', 'read_to', 'heard')
return { 'ok', room[1], room[2], room[3] }
