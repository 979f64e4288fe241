-- ARGV: bot, room, name, due, payload; how many timers a room and a bot may have.
local bot, room, name, due = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key, field, names = P .. 'timers:' .. bot, room .. ':' .. name, P .. 'timer-names:' .. bot .. ':' .. room
if call('HEXISTS', key, field) == 0 then
    if call('SCARD', names) >= tonumber(ARGV[6]) then
        return { 'room' }
    end
    if call('HLEN', key) >= tonumber(ARGV[7]) then
        return { 'bot' }
    end
end
keep_timer(bot, room, name, call('INCR', P .. 'timer-version'), due, ARGV[5], due)
return { 'ok' }
