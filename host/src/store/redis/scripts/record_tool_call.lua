-- ARGV: turn, index, the row, when it began.
keep_tool_call(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return { 'ok' }
