-- What a host that was cut off needs so that it says nothing twice, and what stops bots that answer each other.

-- How often the event was put back: what the agent is asked then is another question than before.
ALTER TABLE event ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
-- What is to be known later of the turn that recorded the parts, as JSON.
ALTER TABLE event ADD COLUMN details TEXT;

-- The last message that a lane is known to have posted, as long as the event is kept that it answered.
CREATE TABLE posted (
    bot     TEXT    NOT NULL,
    room    INTEGER NOT NULL,
    message INTEGER NOT NULL,
    event   INTEGER NOT NULL REFERENCES event (sequence) ON UPDATE CASCADE ON DELETE CASCADE,
    PRIMARY KEY (bot, room)
) STRICT, WITHOUT ROWID;
CREATE INDEX posted_event ON posted (event);

-- How many messages of bots have followed each other in a room of a Campfire since a person wrote there, and the last
-- that was counted.
CREATE TABLE chain (
    campfire   TEXT    NOT NULL,
    room       INTEGER NOT NULL,
    message    INTEGER NOT NULL,
    hops       INTEGER NOT NULL,
    counted_at INTEGER NOT NULL,
    PRIMARY KEY (campfire, room)
) STRICT, WITHOUT ROWID;
-- Finds what may be swept.
CREATE INDEX chain_counted ON chain (counted_at);
