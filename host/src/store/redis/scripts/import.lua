-- ARGV: which copy this is of; then records that are not there yet, each a word and what Rust writes behind it.
if call('GET', P .. 'copying') ~= ARGV[1] then
    return { 'other' }
end
local position = 1

local function take()
    position = position + 1
    return ARGV[position]
end

local import = {
    -- A number that only grows.
    counter = function()
        local name, value = take(), take()
        if tonumber(call('GET', P .. name) or 0) < tonumber(value) then
            call('SET', P .. name, value)
        end
    end,
    event = function()
        local id, posted = take(), take()
        local key = P .. 'event:' .. id
        for _ = 1, tonumber(take()) do
            local field = take()
            call('HSET', key, field, take())
        end
        local event = call('HMGET', key, 'lane', 'message', 'kind', 'hash', 'sequence', 'state', 'ended')
        local lane, sequence, state, ended = event[1], event[5], event[6], event[7]
        call('SADD', delivery({ bot = bot_of(lane), message = event[2], kind = event[3], hash = event[4] }), id)
        if ended then
            call('ZADD', P .. 'ended', ended, id)
            list_if_failed(id, lane, state, sequence)
        else
            call('ZADD', P .. 'queue:' .. lane, sequence, id)
            index_lane(lane)
        end
        if posted ~= '' then
            call('HSET', P .. 'posted:' .. lane, 'message', posted, 'event', id)
        end
    end,
    turn = function()
        local row, lane, id, ended, turn, told, has_trace, trace =
            take(), take(), take(), take(), take(), take(), take(), take()
        keep_row(row, lane, id, ended, turn, told, has_trace == '1' and trace)
    end,
    tool_call = function()
        local turn, index, row, started = take(), take(), take(), take()
        keep_tool_call(turn, index, row, started)
    end,
    conversation = function()
        local lane, id, expires = take(), take(), take()
        change_session(lane, 'set', id, expires)
    end,
    forgetting = function()
        call('SADD', P .. 'forgetting', take())
    end,
    pause = function()
        local scope = take()
        call('HSET', P .. 'pauses', scope, take())
    end,
    timer = function()
        local bot, room, name, version, due, payload, next_at =
            take(), take(), take(), take(), take(), take(), take()
        keep_timer(bot, room, name, version, due, payload, next_at)
    end,
    cron = function()
        local field = take()
        settle_cron(field, take())
    end,
    room = function()
        local lane, name, read_to, heard = take(), take(), take(), take()
        keep_room(lane, name, read_to, heard)
    end,
    chain = function()
        local chain, message, hops, counted = take(), take(), take(), take()
        keep_chain(chain, message, hops, counted)
    end,
    spending = function()
        local bot, day = take(), take()
        call('HSET', P .. 'spent:' .. bot, day, take())
    end,
    key = function()
        local bot, scope, key, version, value = take(), take(), take(), take(), take()
        keep_key(bot, scope, key, version, value, 1, #key + #value)
    end,
    piece = function()
        local lane = take()
        call('RPUSH', P .. 'transcript-pieces:' .. lane, take())
    end,
    transcript = function()
        local lane, pieces = take(), take()
        mark_transcript(lane, position + 1, pieces)
        position = position + 3
    end,
}
while position < #ARGV do
    import[take()]()
end
return { 'ok' }
