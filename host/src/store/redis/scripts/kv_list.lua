-- ARGV: bot, scope, the first key as ZRANGEBYLEX takes it, the end, how many at most. Answers key and value of each.
local space = ARGV[1] .. ':' .. ARGV[2]
local answer = { 'ok' }
for _, key in ipairs(call('ZRANGEBYLEX', P .. 'kv-keys:' .. space, ARGV[3], ARGV[4], 'LIMIT', 0, ARGV[5])) do
    answer[#answer + 1] = key
    answer[#answer + 1] = call('HGET', P .. 'kv:' .. space, key)
end
return answer
