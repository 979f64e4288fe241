-- ARGV: bot, now, how many at most. Answers name and value of the bot's timers that are to be tried, the first due first.
local answer = { 'ok' }
for _, field in ipairs(call('ZRANGEBYSCORE', P .. 'timer-next:' .. ARGV[1], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])) do
    answer[#answer + 1] = field
    answer[#answer + 1] = call('HGET', P .. 'timers:' .. ARGV[1], field)
end
return answer
