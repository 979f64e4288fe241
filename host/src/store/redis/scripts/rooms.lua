-- ARGV: how many at most. Answers lane, name, read_to and heard of each, those first that were heard of last.
local answer = { 'ok' }
for _, lane in ipairs(call('ZREVRANGE', P .. 'rooms', 0, tonumber(ARGV[1]) - 1)) do
    local room = call('HMGET', P .. 'room:' .. lane, 'name', 'read_to', 'heard')
    answer[#answer + 1] = lane
    for field = 1, 3 do
        answer[#answer + 1] = room[field]
    end
end
return answer
