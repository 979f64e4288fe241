-- ARGV: which, until.
settle_cron(ARGV[1], ARGV[2])
return { 'ok' }
