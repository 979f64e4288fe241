-- ARGV: whether only those that nobody holds, now or nothing for Redis' own time. Answers the lanes with unfinished events that
-- are not paused, the oldest event first.
local answer, now = { 'ok' }, ARGV[1] == '1' and lease_time(ARGV[2])
for _, lane in ipairs(call('ZRANGE', P .. 'lanes', 0, -1)) do
    local expires = now and call('HGET', P .. 'lane:' .. lane, 'expires')
    local is_held = expires and tonumber(expires) > now
    if not is_held and not is_paused(lane) then
        answer[#answer + 1] = lane
    end
end
return answer
