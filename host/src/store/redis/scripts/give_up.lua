-- ARGV: a time, now, the bots that are there. Answers how many events of others, received before that time, have ended.
local here = {}
for position = 3, #ARGV do
    here[ARGV[position]] = true
end
local ended = 0
for _, lane in ipairs(call('ZRANGE', P .. 'lanes', 0, -1)) do
    if not here[bot_of(lane)] then
        for _, id in ipairs(call('ZRANGE', P .. 'queue:' .. lane, 0, -1)) do
            if tonumber(call('HGET', P .. 'event:' .. id, 'received')) < tonumber(ARGV[1]) then
                conclude(id, 'failed', ARGV[2])
                ended = ended + 1
            end
        end
        if unfinished(lane) == 0 then
            change_session(lane, 'keep')
        end
    end
end
return { 'ok', ended }
