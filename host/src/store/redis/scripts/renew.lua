-- ARGV: until; then lane and token of each lease. Answers for each whether it is still held.
local answer = { 'ok' }
for position = 2, #ARGV, 2 do
    local lane, held = ARGV[position], not lost(ARGV[position], ARGV[position + 1])
    if held then
        call('HSET', P .. 'lane:' .. lane, 'expires', ARGV[1])
        call('ZADD', P .. 'leases', ARGV[1], lane)
    end
    answer[#answer + 1] = held and '1' or '0'
end
return answer
