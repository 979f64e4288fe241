-- ARGV: calls, each as it stands in `call-times`. Answers the row of each.
local answer = { 'ok' }
for _, member in ipairs(ARGV) do
    local index, turn = member:match('^(%d+):(.*)$')
    answer[#answer + 1] = call('HGET', P .. 'calls:' .. turn, index)
end
return answer
