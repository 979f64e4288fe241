-- Ids of Campfire are stored bit for bit as signed numbers, uuids as 16 bytes, times as milliseconds since 1970.

-- The inbox. `sequence` is the order of acceptance; times may run backwards.
CREATE TABLE event (
    sequence     INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE,
    bot          TEXT    NOT NULL,
    room         INTEGER NOT NULL,
    message      INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    content_hash BLOB    NOT NULL,
    payload      TEXT    NOT NULL,
    received_at  INTEGER NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'refused')),
    attempt      INTEGER NOT NULL DEFAULT 0,
    ended_at     INTEGER,
    CHECK ((ended_at IS NULL) = (state IN ('waiting', 'running')))
) STRICT;
-- A lane's queue; small however many events have ended. The rowid, `sequence`, orders it.
CREATE INDEX event_unfinished ON event (bot, room) WHERE ended_at IS NULL;
-- Finds a repeated delivery.
CREATE INDEX event_delivery ON event (bot, message, kind);
-- Finds what may be swept.
CREATE INDEX event_ended ON event (ended_at) WHERE ended_at IS NOT NULL;

-- The outbox: the parts of an event's answer.
CREATE TABLE part (
    event    INTEGER NOT NULL REFERENCES event (sequence) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    content  TEXT    NOT NULL,
    state    TEXT    NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'unsent', 'posted', 'uncertain', 'failed')),
    message  INTEGER,
    PRIMARY KEY (event, position)
) STRICT;

-- The lanes that are held. A lane without a row is free.
CREATE TABLE lane (
    bot        TEXT    NOT NULL,
    room       INTEGER NOT NULL,
    host       BLOB    NOT NULL,
    token      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (bot, room)
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_expiry ON lane (expires_at);

-- The lanes' conversations.
CREATE TABLE session (
    bot        TEXT    NOT NULL,
    room       INTEGER NOT NULL,
    id         BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (bot, room)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_expiry ON session (expires_at);

-- One row a turn.
CREATE TABLE journal (
    sequence   INTEGER PRIMARY KEY,
    turn       TEXT    NOT NULL,
    event      BLOB    NOT NULL,
    bot        TEXT    NOT NULL,
    room       INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    outcome    TEXT    NOT NULL,
    details    TEXT    NOT NULL
) STRICT;
CREATE INDEX journal_bot ON journal (bot);
CREATE INDEX journal_ended ON journal (ended_at);

-- The plugins' key-value space. `scope` is "shared" or "room:<id>".
CREATE TABLE kv (
    bot     TEXT    NOT NULL,
    scope   TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    value   BLOB    NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (bot, scope, key)
) STRICT;
-- What each bot's space holds, so that a write need not count.
CREATE TABLE kv_usage (
    bot   TEXT    NOT NULL PRIMARY KEY,
    keys  INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Numbers that only grow, so that none of them is ever given out twice.
CREATE TABLE counter (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counter (name, value) VALUES ('lease-token', 0), ('kv-version', 0), ('ping', 0);
