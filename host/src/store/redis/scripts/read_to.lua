-- ARGV: lane, message.
local key = P .. 'room:' .. ARGV[1]
if call('EXISTS', key) == 1 then
    call('HSET', key, 'read_to', ARGV[2])
end
return { 'ok' }
