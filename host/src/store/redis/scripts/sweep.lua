-- ARGV: what, until when (of leases: or nothing for Redis' own time), how many at most. Answers how many were removed. What
-- must stay is passed over, and costs a look each time.
local what, limit = ARGV[1], tonumber(ARGV[3])

local function remove_event(id)
    local key = P .. 'event:' .. id
    local event = call('HMGET', key, 'lane', 'message', 'kind', 'hash')
    local bot = bot_of(event[1])
    call('SREM', delivery({ bot = bot, message = event[2], kind = event[3], hash = event[4] }), id)
    if call('HGET', P .. 'posted:' .. event[1], 'event') == id then
        call('DEL', P .. 'posted:' .. event[1])
    end
    call('ZREM', P .. 'failed', id)
    call('ZREM', P .. 'failed:' .. bot, id)
    call('DEL', key)
end

local function remove_row(row)
    local told = cjson.decode(call('HGET', P .. 'rows', row))
    call('HDEL', P .. 'rows', row)
    call('HDEL', P .. 'traces', row)
    call('ZREM', P .. 'journal', row)
    call('ZREM', P .. 'journal:' .. told.lane.bot, row)
    if call('HGET', P .. 'turns', told.turn) == row then
        call('HDEL', P .. 'turns', told.turn)
    end
end

-- Of each: the index by time, whether the time itself is past already, what stays all the same, and how one is removed.
local sweeps = {
    events = { 'ended', false, nil, remove_event },
    journal = { 'journal-ended', false, function(row)
        -- It says why an event failed, or may have, that is kept longer.
        local told = cjson.decode(call('HGET', P .. 'rows', row))
        return call('ZSCORE', P .. 'failed', told.event)
    end, remove_row },
    calls = { 'call-times', false, nil, function(member)
        local index, turn = member:match('^(%d+):(.*)$')
        call('HDEL', P .. 'calls:' .. turn, index)
    end },
    sessions = { 'sessions', true, nil, function(lane)
        call('DEL', P .. 'session:' .. lane)
        -- A turn that runs may make its conversation last.
        if not in_use(lane) then
            drop_transcript(lane)
        end
    end },
    leases = { 'leases', true, function(lane)
        -- Its holder may only be late, and would lose a turn.
        return unfinished(lane) > 0
    end, function(lane)
        call('DEL', P .. 'lane:' .. lane)
    end },
    rooms = { 'rooms', false, nil, function(lane)
        call('DEL', P .. 'room:' .. lane)
    end },
    chains = { 'chains', false, nil, function(chain)
        call('DEL', P .. 'chain:' .. chain)
    end },
}
local index, is_past, stays, remove = unpack(sweeps[what], 1, 4)
local until_when = ARGV[2] ~= '' and ARGV[2] or so_long_after(lease_time(''), 0)
local ends, passed, removed = (is_past and '' or '(') .. until_when, 0, 0
while removed < limit do
    local found = call('ZRANGEBYSCORE', P .. index, '-inf', ends, 'LIMIT', passed, limit - removed)
    if #found == 0 then
        break
    end
    for _, member in ipairs(found) do
        if stays and stays(member) then
            passed = passed + 1
        else
            call('ZREM', P .. index, member)
            remove(member)
            removed = removed + 1
        end
    end
end
return { 'ok', removed }
