-- ARGV: turn, index, the row, when it began.
if call('HSETNX', P .. 'calls:' .. ARGV[1], ARGV[2], ARGV[3]) == 1 then
    call('ZADD', P .. 'call-times', ARGV[4], ARGV[2] .. ':' .. ARGV[1])
end
return { 'ok' }
