-- ARGV: a time or nothing for Redis' own, how long after it; then lane and token of each lease. Answers for each whether it is
-- still held.
local ends = so_long_after(lease_time(ARGV[1]), ARGV[2])
local answer = { 'ok' }
for position = 3, #ARGV, 2 do
    local lane, held = ARGV[position], not lost(ARGV[position], ARGV[position + 1])
    if held then
        call('HSET', P .. 'lane:' .. lane, 'expires', ends)
        index_lease(lane, ends)
    end
    answer[#answer + 1] = held and '1' or '0'
end
return answer
