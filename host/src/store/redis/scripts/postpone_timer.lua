-- ARGV: bot, field, version, until.
local value = call('HGET', P .. 'timers:' .. ARGV[1], ARGV[2])
if value and value:match('^%d+') == ARGV[3] then
    call('ZADD', P .. 'timer-next:' .. ARGV[1], ARGV[4], ARGV[2])
end
return { 'ok' }
