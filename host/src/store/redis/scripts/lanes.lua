-- ARGV: whether only those that nobody holds, now or nothing for Redis' own time. Answers the lanes with unfinished events that
-- are not paused, the oldest event first.
local lanes
if ARGV[1] == '1' then
    -- Every host asks for these all the time: what that takes does not grow with the lanes that are held.
    lanes = call('ZRANGEBYSCORE', P .. 'lanes-held', '-inf', so_long_after(lease_time(ARGV[2]), 0))
    local first = {}
    for _, lane in ipairs(lanes) do
        first[lane] = tonumber(call('ZSCORE', P .. 'lanes', lane))
    end
    table.sort(lanes, function(one, other) return first[one] < first[other] end)
else
    lanes = call('ZRANGE', P .. 'lanes', 0, -1)
end
local answer = { 'ok' }
for _, lane in ipairs(lanes) do
    if not is_paused(lane) then
        answer[#answer + 1] = lane
    end
end
return answer
