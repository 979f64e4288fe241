-- Timers that a plugin has set and that have not come yet. `version` changes whenever one is set, so that a timer that
-- was read can be told from the one that has taken its name since. `next_at` is when it is tried: `due_at`, or later
-- if its lane was full.
CREATE TABLE timer (
    bot     TEXT    NOT NULL,
    room    INTEGER NOT NULL,
    name    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    due_at  INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    payload TEXT    NOT NULL,
    PRIMARY KEY (bot, room, name)
) STRICT;
-- Finds a bot's next timers.
CREATE INDEX timer_next ON timer (bot, next_at);

-- Up to when each of the operator's timers is settled: fired, or passed over. One row for each that was ever configured.
CREATE TABLE cron (
    bot     TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    settled INTEGER NOT NULL,
    PRIMARY KEY (bot, name)
) STRICT, WITHOUT ROWID;

-- What is about no message is told apart by its content alone.
DROP INDEX event_delivery;
CREATE INDEX event_delivery ON event (bot, message, kind, content_hash);

INSERT INTO counter (name, value) VALUES ('timer-version', 0);
