-- ARGV: lane; 1 if its room is told that it is full, 0 if it was not after all. Answers whether that was not known.
local key = P .. 'lane:' .. ARGV[1]
local is_news
if ARGV[2] == '1' then
    is_news = call('HSETNX', key, 'told_full', 1)
    -- So that it is swept, if nobody ever takes the lane.
    call('ZADD', P .. 'leases', 'NX', 0, ARGV[1])
else
    is_news = call('HDEL', key, 'told_full')
end
return { is_news == 1 and 'ok' or 'known' }
