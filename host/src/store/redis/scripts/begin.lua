-- ARGV: lane, token, now.
local lane, now = ARGV[1], ARGV[3]
local refused = lost(lane, ARGV[2])
if refused then
    return refused
end
local id = oldest(lane)
if not id or is_paused(lane) then
    return { 'ok' }
end
local key = P .. 'event:' .. id
call('HINCRBY', key, 'attempt', 1)
call('HSET', key, 'state', 'running')
local session = call('HMGET', P .. 'session:' .. lane, 'id', 'expires')
local is_kept = session[1] and tonumber(session[2]) > tonumber(now)
local answer = { 'ok', id }
for _, value in ipairs(call('HMGET', key, 'attempt', 'earlier', 'retries', 'payload', 'received', 'verdict', 'note',
    'stopped', 'details')) do
    answer[#answer + 1] = value
end
answer[#answer + 1] = is_kept and session[1]
answer[#answer + 1] = call('HGET', P .. 'posted:' .. lane, 'message')
for part, state in ipairs(states(key)) do
    answer[#answer + 1] = call('HGET', key, 'p' .. (part - 1))
    answer[#answer + 1] = state
end
return answer
