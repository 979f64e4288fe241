-- Messages that never arrived, and are found in the rooms' histories.

-- The rooms in which bots are spoken to, as the last message said: a direct room has no name. `read_to` is the message
-- up to which the history was read.
CREATE TABLE room (
    bot      TEXT    NOT NULL,
    room     INTEGER NOT NULL,
    name     TEXT,
    read_to  INTEGER NOT NULL,
    heard_at INTEGER NOT NULL,
    PRIMARY KEY (bot, room)
) STRICT, WITHOUT ROWID;
-- Finds where to look first, and what may be swept.
CREATE INDEX room_heard ON room (heard_at);

-- What was found. A delivery that comes after all is another's text of the same message.
ALTER TABLE event ADD COLUMN found INTEGER NOT NULL DEFAULT 0;

-- Rooms that are known already are read from the last message on that arrived there.
INSERT INTO room (bot, room, name, read_to, heard_at)
    SELECT bot, room, json_extract(payload, '$.room.name'), max(message), received_at FROM event
    WHERE kind = 'message' AND message > 0 AND json_valid(payload)
    GROUP BY bot, room;
