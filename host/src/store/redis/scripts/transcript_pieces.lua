-- ARGV: lane; session, bytes and hash of its transcript; from which piece on, how many are looked at, how many bytes are
-- enough.
local answer, bytes = { 'ok' }, 0
if not goes_to(ARGV[1], 2) then
    return answer
end
local from = tonumber(ARGV[5])
for _, piece in ipairs(call('LRANGE', P .. 'transcript-pieces:' .. ARGV[1], from, from + tonumber(ARGV[6]) - 1)) do
    if bytes >= tonumber(ARGV[7]) then
        break
    end
    bytes = bytes + #piece
    answer[#answer + 1] = piece
end
return answer
