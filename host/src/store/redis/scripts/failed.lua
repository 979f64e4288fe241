-- ARGV: bot or nothing, how many at most. Answers, the newest first, what is known of each, its last journal row, and how
-- many parts it has, then their states.
local index = ARGV[1] == '' and 'failed' or 'failed:' .. ARGV[1]
local answer = { 'ok' }
for _, id in ipairs(call('ZREVRANGE', P .. index, 0, tonumber(ARGV[2]) - 1)) do
    local key = P .. 'event:' .. id
    answer[#answer + 1] = id
    local event = call('HMGET', key, 'lane', 'message', 'kind', 'received', 'ended', 'state', 'attempt', 'row')
    for field = 1, 7 do
        answer[#answer + 1] = event[field]
    end
    answer[#answer + 1] = event[8] and call('HGET', P .. 'rows', event[8])
    local parts = states(key)
    answer[#answer + 1] = #parts
    for _, state in ipairs(parts) do
        answer[#answer + 1] = state
    end
end
return answer
