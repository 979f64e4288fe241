-- ARGV: bot, day, US dollars, the first day that is kept.
local key = P .. 'spent:' .. ARGV[1]
call('HINCRBYFLOAT', key, ARGV[2], ARGV[3])
for _, day in ipairs(call('HKEYS', key)) do
    if tonumber(day) < tonumber(ARGV[4]) then
        call('HDEL', key, day)
    end
end
return { 'ok' }
