-- ARGV: hashes. Answers of each how many fields it has, then these and their values.
local answer = { 'ok' }
for _, key in ipairs(ARGV) do
    local fields = call('HGETALL', P .. key)
    answer[#answer + 1] = #fields / 2
    for _, text in ipairs(fields) do
        answer[#answer + 1] = text
    end
end
return answer
