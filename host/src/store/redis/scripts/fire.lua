-- ARGV: an offered event; how many unfinished events a lane may have; 'timer' with bot, room, name and version, or 'cron'
-- with which and the time.
local event = offered()
local limit, kind = tonumber(ARGV[BEHIND_OFFERED]), ARGV[BEHIND_OFFERED + 1]
local one, two, name, version =
    ARGV[BEHIND_OFFERED + 2], ARGV[BEHIND_OFFERED + 3], ARGV[BEHIND_OFFERED + 4], ARGV[BEHIND_OFFERED + 5]
if kind == 'timer' then
    local value = call('HGET', P .. 'timers:' .. one, two .. ':' .. name)
    if not value or value:match('^%d+') ~= version then
        return { 'gone' }
    end
else
    local settled = call('HGET', P .. 'crons', one)
    if settled and tonumber(settled) >= tonumber(two) then
        return { 'gone' }
    end
end
if unfinished(event.lane) >= limit then
    return { 'full' }
end
insert(event, 'waiting')
if kind == 'timer' then
    drop_timer(one, two, name)
else
    settle_cron(one, two)
end
return { 'ok' }
