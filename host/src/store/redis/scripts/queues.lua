-- ARGV: how many at most. Answers lane, number of unfinished events, and when the first of them came.
local answer = { 'ok' }
for _, lane in ipairs(call('ZRANGE', P .. 'lanes', 0, tonumber(ARGV[1]) - 1)) do
    answer[#answer + 1] = lane
    answer[#answer + 1] = unfinished(lane)
    answer[#answer + 1] = call('HGET', P .. 'event:' .. oldest(lane), 'received')
end
return answer
