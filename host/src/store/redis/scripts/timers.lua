-- ARGV: bot, room. Answers name and value of the lane's timers.
local answer = { 'ok' }
for _, name in ipairs(call('SMEMBERS', P .. 'timer-names:' .. ARGV[1] .. ':' .. ARGV[2])) do
    answer[#answer + 1] = ARGV[2] .. ':' .. name
    answer[#answer + 1] = call('HGET', P .. 'timers:' .. ARGV[1], ARGV[2] .. ':' .. name)
end
return answer
