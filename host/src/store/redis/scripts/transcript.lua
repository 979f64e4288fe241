-- ARGV: lane. Answers the session, how far its transcript goes, and how many pieces of it are kept, if any are to be.
local known = call('HMGET', P .. 'transcript:' .. ARGV[1], 'session', 'bytes', 'hash', 'pieces')
return { 'ok', known[1], known[2], known[3], known[4] ~= '' and known[4] }
