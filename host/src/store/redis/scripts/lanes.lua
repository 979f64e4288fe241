-- ARGV: a time, or nothing. Answers the lanes with unfinished events that are not paused, the oldest event first; with a
-- time only those that nobody holds then.
local answer = { 'ok' }
for _, lane in ipairs(call('ZRANGE', P .. 'lanes', 0, -1)) do
    local expires = ARGV[1] ~= '' and call('HGET', P .. 'lane:' .. lane, 'expires')
    local is_held = expires and tonumber(expires) > tonumber(ARGV[1])
    if not is_held and not is_paused(lane) then
        answer[#answer + 1] = lane
    end
end
return answer
