-- ARGV: lane, token, event, the index of a piece, the piece.
local refused = not_running(ARGV[1], ARGV[2], ARGV[3])
if refused then
    return refused
end
local aside, index = P .. 'transcript-aside:' .. ARGV[1], tonumber(ARGV[4])
if index == 0 then
    call('DEL', aside)
else
    call('LTRIM', aside, 0, index - 1)
end
call('RPUSH', aside, ARGV[5])
return { 'ok' }
