-- ARGV: lane, token, event, the part's index, its state, the message it was posted as.
local lane, id, index, state, message = ARGV[1], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local refused = not_running(lane, ARGV[2], id)
if refused then
    return refused
end
local key = P .. 'event:' .. id
local known = states(key)
for part = 1, math.min(index, #known) do
    if known[part] == 'planned' or known[part] == 'unsent' then
        return { 'early' }
    end
end
local from = known[index + 1]
if not from then
    return { 'no part' }
end
local may_become = from == 'planned' or from == state
    or (from == 'unsent' and (state == 'planned' or state == 'failed'))
if not may_become then
    return { 'past' }
end
call('HSET', key, 's' .. ARGV[4], state)
if message ~= '' then
    call('HSET', P .. 'posted:' .. lane, 'message', message, 'event', id)
end
return { 'ok' }
