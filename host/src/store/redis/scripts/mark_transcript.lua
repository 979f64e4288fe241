-- ARGV: lane, token, event; session, bytes and hash of its transcript.
local refused = not_running(ARGV[1], ARGV[2], ARGV[3])
if refused then
    return refused
end
drop_transcript(ARGV[1])
mark_transcript(ARGV[1], 4, '')
return { 'ok' }
