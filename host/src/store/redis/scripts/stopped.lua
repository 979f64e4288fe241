-- ARGV: lanes. Answers those whose oldest unfinished event is marked as stopped, and that event.
local answer = { 'ok' }
for _, lane in ipairs(ARGV) do
    local id = oldest(lane)
    if id and call('HEXISTS', P .. 'event:' .. id, 'stopped') == 1 then
        answer[#answer + 1] = lane
        answer[#answer + 1] = id
    end
end
return answer
