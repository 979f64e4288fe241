-- ARGV: lane, token, event; session, bytes and hash of its transcript from now on; how many pieces were laid aside, the last
-- piece; session, bytes and hash of what is gone on from, if that is to stay.
local lane, count = ARGV[1], tonumber(ARGV[7])
local refused = not_running(lane, ARGV[2], ARGV[3])
if refused then
    return refused
end
local pieces, aside = P .. 'transcript-pieces:' .. lane, P .. 'transcript-aside:' .. lane
if goes_to(lane, 4) then
    call('DEL', aside)
    return { 'ok' }
end
if count == 0 then
    call('DEL', aside)
end
if call('LLEN', aside) ~= count or (ARGV[9] and not goes_to(lane, 9)) then
    return { 'other' }
end
call('RPUSH', aside, ARGV[8])
if not ARGV[9] then
    call('DEL', pieces)
end
while call('LMOVE', aside, pieces, 'LEFT', 'RIGHT') do
end
mark_transcript(lane, 4, call('LLEN', pieces))
return { 'ok' }
