-- ARGV: an offered event; how many unfinished events a lane may have.
local event = offered()
hear(event)
if is_known(event) then
    return { 'duplicate' }
end
local cut = looping(event)
if cut then
    return { cut }
end
local is_full = unfinished(event.lane) >= tonumber(ARGV[BEHIND_OFFERED])
insert(event, is_full and 'refused' or 'waiting')
return { is_full and 'refused' or 'ok' }
