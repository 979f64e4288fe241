-- ARGV: bot, room, name.
return { 'ok', drop_timer(ARGV[1], ARGV[2], ARGV[3]) }
