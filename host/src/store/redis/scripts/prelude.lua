-- What the scripts share. KEYS[1] begins every key and carries the hash tag, so that all of them are in one slot. Times and
-- ids are passed on as the text they came in: Lua's own way from number to text rounds.
local P = KEYS[1]
local call = redis.call

-- An offered event, in the order in which Rust writes it from ARGV[1] on. `since` begins the window of duplicates,
-- `chain_since` the pause that ends a chain, `read_to` is the message before its own; what is not there is empty.
local OFFERED = { 'id', 'bot', 'room', 'message', 'read_to', 'kind', 'hash', 'payload', 'received', 'since', 'source',
    'room_name', 'campfire', 'by_bot', 'budget', 'chain_since' }
local BEHIND_OFFERED = #OFFERED + 1
local HOUR = 60 * 60 * 1000

local function offered()
    local event = {}
    for position, name in ipairs(OFFERED) do
        event[name] = ARGV[position]
    end
    event.lane = event.bot .. ':' .. event.room
    return event
end

local function bot_of(lane)
    return lane:match('^[^:]*')
end

-- Whether one id of Campfire is larger than another. They may be larger than Lua's numbers are exact.
local function is_later(one, other)
    return #one > #other or (#one == #other and one > other)
end

-- === Hosts ===

-- The time by which leases are compared: the one that is given, or else Redis' own, which is the same for all hosts.
local function lease_time(given)
    if given ~= '' then
        return tonumber(given)
    end
    local time = call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function so_long_after(time, milliseconds)
    return string.format('%.0f', time + tonumber(milliseconds))
end

-- Says something to a host; answers whether it listens. It is a hint: nobody who may not publish loses a write by it.
local function tell(host, words)
    local heard = redis.pcall('PUBLISH', P .. 'host:' .. host, words)
    return type(heard) == 'number' and heard > 0
end

-- === Lanes ===

local function lost(lane, token)
    if call('HGET', P .. 'lane:' .. lane, 'token') ~= token then
        return { 'lost' }
    end
end

local function not_running(lane, token, id)
    local event = call('HMGET', P .. 'event:' .. id, 'state', 'lane')
    local is_running = event[1] == 'running' and event[2] == lane
    return lost(lane, token) or (not is_running and { 'not running' } or nil)
end

local function is_paused(lane)
    return call('HEXISTS', P .. 'pauses', bot_of(lane)) == 1 or call('HEXISTS', P .. 'pauses', lane) == 1
end

local function oldest(lane)
    return call('ZRANGE', P .. 'queue:' .. lane, 0, 0)[1]
end

local function unfinished(lane)
    return call('ZCARD', P .. 'queue:' .. lane)
end

-- Keeps the lanes with unfinished events by the oldest of these, and by the end of their lease. Follows every change of a
-- queue.
local function index_lane(lane)
    local first = call('ZRANGE', P .. 'queue:' .. lane, 0, 0, 'WITHSCORES')
    if first[1] then
        call('ZADD', P .. 'lanes', first[2], lane)
        call('ZADD', P .. 'lanes-held', call('HGET', P .. 'lane:' .. lane, 'expires') or 0, lane)
    else
        call('ZREM', P .. 'lanes', lane)
        call('ZREM', P .. 'lanes-held', lane)
    end
end

-- Follows every change of a lease.
local function index_lease(lane, ends)
    call('ZADD', P .. 'leases', ends, lane)
    call('ZADD', P .. 'lanes-held', 'XX', ends, lane)
end

-- A turn runs in the lane: it is held, and its oldest event was begun.
local function in_use(lane)
    local id = oldest(lane)
    return id and call('HGET', P .. 'event:' .. id, 'state') == 'running'
        and call('HEXISTS', P .. 'lane:' .. lane, 'token') == 1
end

-- Marks an event as stopped, and tells whoever may be answering it.
local function stop(lane, id)
    call('HSET', P .. 'event:' .. id, 'stopped', 1)
    local holder = call('HGET', P .. 'lane:' .. lane, 'host')
    if holder then
        tell(holder, 'stop ' .. id .. ' ' .. lane)
    end
end

-- === Events ===

-- Where the deliveries are known that an event may repeat. What is about no message is told apart by its content alone.
local function delivery(event)
    local key = P .. 'delivery:' .. event.bot .. ':' .. event.message .. ':' .. event.kind
    if event.message == '' then
        key = key .. ':' .. event.hash
    end
    return key
end

local function is_known(event)
    local ids = call('SMEMBERS', delivery(event))
    if event.source == 'history' then
        return #ids > 0
    end
    for _, id in ipairs(ids) do
        local known = call('HMGET', P .. 'event:' .. id, 'received', 'hash', 'state', 'found')
        if known[1] and tonumber(known[1]) >= tonumber(event.since) then
            if known[2] == event.hash and known[3] ~= 'refused' then
                return true
            end
            if event.source == 'message' and known[4] then
                return true
            end
        end
    end
    return false
end

-- Adds an event: one that is to run, or one that has ended and is kept for the record.
local function insert(event, state)
    local sequence = call('INCR', P .. 'sequence')
    local key = P .. 'event:' .. event.id
    call('HSET', key, 'sequence', sequence, 'lane', event.lane, 'message', event.message, 'kind', event.kind,
        'hash', event.hash, 'payload', event.payload, 'received', event.received, 'state', state,
        'attempt', 0, 'earlier', 0, 'retries', 0, 'parts', 0)
    if event.source == 'history' then
        call('HSET', key, 'found', 1)
    end
    call('SADD', delivery(event), event.id)
    if state == 'waiting' then
        call('ZADD', P .. 'queue:' .. event.lane, sequence, event.id)
        index_lane(event.lane)
    else
        call('HSET', key, 'ended', event.received)
        call('ZADD', P .. 'ended', event.received, event.id)
    end
end

-- The states of an event's parts, in order.
local function states(key)
    local count = tonumber(call('HGET', key, 'parts') or 0)
    local fields = {}
    for part = 0, count - 1 do
        fields[#fields + 1] = 's' .. part
    end
    return count > 0 and call('HMGET', key, unpack(fields)) or {}
end

-- Lists an event that has ended, if it failed or may have.
local function list_if_failed(id, lane, state, sequence)
    local failed = state == 'failed'
    for _, part in ipairs(states(P .. 'event:' .. id)) do
        failed = failed or part == 'uncertain'
    end
    if failed then
        call('ZADD', P .. 'failed', sequence, id)
        call('ZADD', P .. 'failed:' .. bot_of(lane), sequence, id)
    end
end

-- Takes an event out of its lane. `ended` is not before it was received: until then duplicates are recognised.
local function conclude(id, state, ended)
    local key = P .. 'event:' .. id
    local event = call('HMGET', key, 'lane', 'received', 'sequence')
    local lane, received, sequence = event[1], event[2], event[3]
    if tonumber(ended) < tonumber(received) then
        ended = received
    end
    call('HSET', key, 'state', state, 'ended', ended)
    call('ZADD', P .. 'ended', ended, id)
    call('ZREM', P .. 'queue:' .. lane, id)
    index_lane(lane)
    list_if_failed(id, lane, state, sequence)
end

-- === The journal ===

-- Keeps what is told of an event's turn under the number `row`, with its trace if there is one.
local function keep_row(row, lane, id, ended, turn, told, trace)
    call('HSET', P .. 'rows', row, told)
    call('ZADD', P .. 'journal', row, row)
    call('ZADD', P .. 'journal:' .. bot_of(lane), row, row)
    call('ZADD', P .. 'journal-ended', ended, row)
    call('HSET', P .. 'turns', turn, row)
    if call('EXISTS', P .. 'event:' .. id) == 1 then
        call('HSET', P .. 'event:' .. id, 'row', row)
    end
    if trace then
        call('HSET', P .. 'traces', row, trace)
    end
end

local function keep_tool_call(turn, index, row, started)
    if call('HSETNX', P .. 'calls:' .. turn, index, row) == 1 then
        call('ZADD', P .. 'call-times', started, index .. ':' .. turn)
    end
end

-- === Rooms and chains ===

local function keep_room(lane, name, read_to, heard)
    call('HSET', P .. 'room:' .. lane, 'name', name, 'read_to', read_to, 'heard', heard)
    call('ZADD', P .. 'rooms', heard, lane)
end

local function hear(event)
    if event.source ~= 'message' or event.message == '' then
        return
    end
    local key = P .. 'room:' .. event.lane
    local known = call('HMGET', key, 'name', 'heard', 'read_to')
    local known_as = known[1] == event.room_name
    if known[2] and known_as and math.abs(tonumber(known[2]) - tonumber(event.received)) <= HOUR then
        return
    end
    keep_room(event.lane, event.room_name, known[3] or event.read_to, event.received)
end

local function keep_chain(chain, message, hops, counted)
    call('HSET', P .. 'chain:' .. chain, 'message', message, 'hops', hops, 'counted', counted)
    call('ZADD', P .. 'chains', counted, chain)
end

-- Counts a message of a chain; answers what becomes of it if the chain is longer than it may be.
local function looping(event)
    if event.campfire == '' or event.message == '' then
        return nil
    end
    local chain = event.room .. ':' .. event.campfire
    local key = P .. 'chain:' .. chain
    local known = call('HMGET', key, 'message', 'hops', 'counted')
    if event.by_bot == '0' then
        if known[1] and (known[2] ~= '0' or is_later(known[1], event.message)) then
            call('HSET', key, 'hops', 0, 'message', event.message)
        end
        return nil
    end
    local hops, is_new = 1, true
    if known[1] and not is_later(event.message, known[1]) then
        -- Left out before, most likely: what bots said to each other is not taken up again behind everything else.
        if event.source == 'history' then
            return 'looping'
        end
        hops, is_new = tonumber(known[2]), false
    elseif known[1] and tonumber(known[3]) > tonumber(event.chain_since) then
        hops = tonumber(known[2]) + 1
    end
    if is_new then
        keep_chain(chain, event.message, hops, event.received)
    end
    local budget = tonumber(event.budget)
    if hops <= budget then
        return nil
    end
    return (is_new and budget > 0 and hops == budget + 1) and 'first' or 'looping'
end

-- === Conversations ===

local function drop_transcript(lane)
    call('DEL', P .. 'transcript:' .. lane, P .. 'transcript-pieces:' .. lane, P .. 'transcript-aside:' .. lane)
end

-- Of a transcript, ARGV has the session, the bytes and the hash from `position` on. It has no number of pieces if none are
-- to be kept.
local function mark_transcript(lane, position, pieces)
    call('HSET', P .. 'transcript:' .. lane, 'session', ARGV[position], 'bytes', ARGV[position + 1],
        'hash', ARGV[position + 2], 'pieces', pieces)
end

-- Whether the lane's transcript is kept, goes that far, and is whole.
local function goes_to(lane, position)
    local known = call('HMGET', P .. 'transcript:' .. lane, 'session', 'bytes', 'hash', 'pieces')
    return known[1] == ARGV[position] and known[2] == ARGV[position + 1] and known[3] == ARGV[position + 2]
        and tonumber(known[4]) == call('LLEN', P .. 'transcript-pieces:' .. lane)
end

-- Keeps, sets or forgets the lane's conversation. A transcript of any other goes.
local function change_session(lane, change, id, expires)
    local key = P .. 'session:' .. lane
    if change == 'set' then
        call('HSET', key, 'id', id, 'expires', expires)
        call('ZADD', P .. 'sessions', expires, lane)
    elseif change == 'forget' then
        call('DEL', key)
        call('ZREM', P .. 'sessions', lane)
    end
    local of = call('HGET', P .. 'transcript:' .. lane, 'session')
    if not of or of ~= call('HGET', key, 'id') then
        drop_transcript(lane)
    end
end

-- === What plugins keep ===

-- Writes a key, which makes so many keys and bytes more.
local function keep_key(bot, scope, key, version, value, keys, bytes)
    local space, usage = bot .. ':' .. scope, P .. 'kv-usage:' .. bot
    call('HSET', P .. 'kv:' .. space, key, version .. ' ' .. value)
    call('ZADD', P .. 'kv-keys:' .. space, 0, key)
    call('HINCRBY', usage, 'keys', keys)
    call('HINCRBY', usage, 'bytes', bytes)
end

-- === Timers ===

local function keep_timer(bot, room, name, version, due, payload, next_at)
    local field = room .. ':' .. name
    call('HSET', P .. 'timers:' .. bot, field, version .. ' ' .. due .. ' ' .. payload)
    call('ZADD', P .. 'timer-next:' .. bot, next_at, field)
    call('SADD', P .. 'timer-names:' .. bot .. ':' .. room, name)
    call('SADD', P .. 'timer-bots', bot)
end

local function drop_timer(bot, room, name)
    local field = room .. ':' .. name
    local was_there = call('HDEL', P .. 'timers:' .. bot, field)
    call('ZREM', P .. 'timer-next:' .. bot, field)
    call('SREM', P .. 'timer-names:' .. bot .. ':' .. room, name)
    if call('EXISTS', P .. 'timers:' .. bot) == 0 then
        call('SREM', P .. 'timer-bots', bot)
    end
    return was_there
end

local function settle_cron(field, at)
    local settled = call('HGET', P .. 'crons', field)
    if not settled or tonumber(settled) < tonumber(at) then
        call('HSET', P .. 'crons', field, at)
        return true
    end
    return false
end
