-- ARGV: lane.
call('DEL', P .. 'room:' .. ARGV[1])
call('ZREM', P .. 'rooms', ARGV[1])
return { 'ok' }
