-- What an operator can ask for: bots that wait, conversations to be forgotten, failed events to be answered after all.

-- What is paused: a bot (no room), or a bot in a room.
CREATE TABLE pause (
    bot   TEXT    NOT NULL,
    room  INTEGER,
    since INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX pause_bot ON pause (bot) WHERE room IS NULL;
CREATE UNIQUE INDEX pause_room ON pause (bot, room) WHERE room IS NOT NULL;

-- The lanes whose conversation is forgotten when the event that runs has ended.
CREATE TABLE forgetting (
    bot  TEXT    NOT NULL,
    room INTEGER NOT NULL,
    PRIMARY KEY (bot, room)
) STRICT, WITHOUT ROWID;

-- What the event comes to once its recorded parts are in the room: tells an answer from a sentence about a failure.
ALTER TABLE event ADD COLUMN verdict TEXT CHECK (verdict IN ('done', 'failed'));
-- The attempts that were made before it was put back.
ALTER TABLE event ADD COLUMN earlier INTEGER NOT NULL DEFAULT 0;

-- Finds what failed, what may have, and why.
CREATE INDEX event_failed ON event (state) WHERE state = 'failed';
CREATE INDEX part_uncertain ON part (event) WHERE state = 'uncertain';
CREATE INDEX journal_event ON journal (event);
