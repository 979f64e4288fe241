-- ARGV: lane, token, event, its end, when; what happens to the conversation, its id, its expiry; the turn, its journal row,
-- whether there is a trace, the trace.
local lane, id, state, ended, turn = ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[9]
local refused = not_running(lane, ARGV[2], id)
if refused then
    return refused
end
local key = P .. 'event:' .. id
for _, part in ipairs(states(key)) do
    if state == 'done' and (part == 'planned' or part == 'unsent') then
        return { 'unsettled' }
    end
end
conclude(id, state, ended)
if call('SREM', P .. 'forgetting', lane) == 1 then
    change_session(lane, 'forget')
else
    change_session(lane, ARGV[6], ARGV[7], ARGV[8])
end
local row = call('INCR', P .. 'sequence')
call('HSET', P .. 'rows', row, ARGV[10])
call('ZADD', P .. 'journal', row, row)
call('ZADD', P .. 'journal:' .. bot_of(lane), row, row)
call('ZADD', P .. 'journal-ended', ended, row)
call('HSET', P .. 'turns', turn, row)
call('HSET', key, 'row', row)
if ARGV[11] == '1' then
    call('HSET', P .. 'traces', row, ARGV[12])
end
return { 'ok' }
