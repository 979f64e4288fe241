-- ARGV: lane. Stops what is being answered there.
local lane = ARGV[1]
if not in_use(lane) then
    return { 'idle' }
end
stop(lane, oldest(lane))
return { 'ok' }
