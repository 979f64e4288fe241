-- ARGV: lane, token, event, verdict, details; what happens to the conversation, its id, its expiry; the parts.
local lane, id = ARGV[1], ARGV[3]
local refused = not_running(lane, ARGV[2], id)
if refused then
    return refused
end
local FIRST = 9
local key = P .. 'event:' .. id
local count = tonumber(call('HGET', key, 'parts'))
if count > 0 then
    local is_same = count == #ARGV - FIRST + 1
    for part = 0, count - 1 do
        is_same = is_same and call('HGET', key, 'p' .. part) == ARGV[FIRST + part]
    end
    return is_same and { 'ok' } or { 'other answer' }
end
for position = FIRST, #ARGV do
    local part = position - FIRST
    call('HSET', key, 'p' .. part, ARGV[position], 's' .. part, 'planned')
end
call('HSET', key, 'parts', #ARGV - FIRST + 1, 'verdict', ARGV[4], 'details', ARGV[5])
call('HDEL', key, 'note')
change_session(lane, ARGV[6], ARGV[7], ARGV[8])
return { 'ok' }
