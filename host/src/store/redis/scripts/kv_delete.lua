-- ARGV: bot, scope, key; what must hold ('any', 'absent', or a version).
local bot, key, expect = ARGV[1], ARGV[3], ARGV[4]
local space = bot .. ':' .. ARGV[2]
local old = call('HGET', P .. 'kv:' .. space, key)
local version = old and old:match('^%d+')
if (expect == 'absent' and old) or (expect ~= 'any' and expect ~= 'absent' and expect ~= version) then
    return { 'conflict' }
end
if not old then
    return { 'ok', 0 }
end
call('HDEL', P .. 'kv:' .. space, key)
call('ZREM', P .. 'kv-keys:' .. space, key)
call('HINCRBY', P .. 'kv-usage:' .. bot, 'keys', -1)
call('HINCRBY', P .. 'kv-usage:' .. bot, 'bytes', -(#key + #old - #version - 1))
return { 'ok', 1 }
