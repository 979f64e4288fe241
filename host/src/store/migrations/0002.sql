-- One row a tool call, in its turn's order.
CREATE TABLE tool_call (
    sequence   INTEGER PRIMARY KEY,
    turn       TEXT    NOT NULL,
    position   INTEGER NOT NULL,
    tool       TEXT    NOT NULL,
    input      TEXT    NOT NULL,
    output     TEXT    NOT NULL,
    error      TEXT,
    cause      TEXT,
    started_at INTEGER NOT NULL,
    duration   INTEGER NOT NULL,
    UNIQUE (turn, position)
) STRICT;
-- Finds what may be swept.
CREATE INDEX tool_call_started ON tool_call (started_at);
