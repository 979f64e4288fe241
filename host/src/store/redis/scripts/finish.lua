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
keep_row(row, lane, id, ended, turn, ARGV[10], ARGV[11] == '1' and ARGV[12])
return { 'ok' }
