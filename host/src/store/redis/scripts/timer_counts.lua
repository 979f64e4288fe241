-- Answers each bot that has timers, and how many.
local answer = { 'ok' }
for _, bot in ipairs(call('SMEMBERS', P .. 'timer-bots')) do
    answer[#answer + 1] = bot
    answer[#answer + 1] = call('HLEN', P .. 'timers:' .. bot)
end
return answer
