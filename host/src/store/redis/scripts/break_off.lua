-- ARGV: lane, token, event.
local refused = not_running(ARGV[1], ARGV[2], ARGV[3])
if refused then
    return refused
end
call('HINCRBY', P .. 'event:' .. ARGV[3], 'earlier', 1)
return { 'ok' }
