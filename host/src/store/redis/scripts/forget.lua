-- ARGV: bot, room or nothing. Answers how many conversations are forgotten now, and how many after their turn.
local bot, room = ARGV[1], ARGV[2]
local function lanes_in(index)
    if room ~= '' then
        return { bot .. ':' .. room }
    end
    local found = {}
    for _, lane in ipairs(call('ZRANGE', P .. index, 0, -1)) do
        if bot_of(lane) == bot then
            found[#found + 1] = lane
        end
    end
    return found
end
local now, after_turn = 0, 0
for _, lane in ipairs(lanes_in('leases')) do
    if in_use(lane) then
        call('SADD', P .. 'forgetting', lane)
        after_turn = after_turn + 1
    end
end
for _, lane in ipairs(lanes_in('sessions')) do
    if not in_use(lane) and call('EXISTS', P .. 'session:' .. lane) == 1 then
        change_session(lane, 'forget')
        now = now + 1
    end
end
return { 'ok', now, after_turn }
