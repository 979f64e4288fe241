-- ARGV: bot, scope, key, value; what must hold ('any', 'absent', or a version); how many keys and bytes a bot may have.
local bot, key, value, expect = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
local space = bot .. ':' .. ARGV[2]
local old = call('HGET', P .. 'kv:' .. space, key)
local version = old and old:match('^%d+')
if (expect == 'absent' and old) or (expect ~= 'any' and expect ~= 'absent' and expect ~= version) then
    return { 'conflict' }
end
local usage = call('HMGET', P .. 'kv-usage:' .. bot, 'keys', 'bytes')
local keys, bytes = tonumber(usage[1] or 0), tonumber(usage[2] or 0)
local new_bytes = #key + #value
local old_bytes = old and (#key + #old - #version - 1) or 0
if not old and keys + 1 > tonumber(ARGV[6]) then
    return { 'keys' }
end
-- One that takes no more room than before is always taken.
if new_bytes > old_bytes and bytes - old_bytes + new_bytes > tonumber(ARGV[7]) then
    return { 'bytes' }
end
local next_version = call('INCR', P .. 'kv-version')
keep_key(bot, ARGV[2], key, next_version, value, old and 0 or 1, new_bytes - old_bytes)
return { 'ok', next_version }
