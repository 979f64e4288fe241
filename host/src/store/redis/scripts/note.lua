-- ARGV: lane, token, event, note.
local refused = not_running(ARGV[1], ARGV[2], ARGV[3])
if refused then
    return refused
end
call('HSET', P .. 'event:' .. ARGV[3], 'note', ARGV[4])
return { 'ok' }
