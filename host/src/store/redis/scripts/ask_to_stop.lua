-- ARGV: an offered event.
local event = offered()
hear(event)
if is_known(event) then
    return { 'duplicate' }
end
local id = oldest(event.lane)
if not id then
    return { 'idle' }
end
stop(event.lane, id)
insert(event, 'done')
return { 'ok', id }
