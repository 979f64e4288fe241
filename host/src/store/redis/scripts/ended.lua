-- ARGV: event. Answers its lane, state, retries and verdict, then the states of its parts; nothing if there is none.
local key = P .. 'event:' .. ARGV[1]
local answer = { 'ok' }
if call('EXISTS', key) == 1 then
    for _, value in ipairs(call('HMGET', key, 'lane', 'state', 'retries', 'verdict')) do
        answer[#answer + 1] = value
    end
    for _, state in ipairs(states(key)) do
        answer[#answer + 1] = state
    end
end
return answer
