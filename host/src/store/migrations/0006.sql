-- What whoever begins an event again must know besides its parts.

-- What the turn so far has left in the room, in the host's own words; none once the parts of the answer are recorded.
ALTER TABLE event ADD COLUMN note TEXT;
-- Whether somebody has said that it is to be stopped.
ALTER TABLE event ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0;

-- What a bot's agent has cost, by day (UTC, counted from 1970), in US dollars.
CREATE TABLE spending (
    bot TEXT    NOT NULL,
    day INTEGER NOT NULL,
    usd REAL    NOT NULL,
    PRIMARY KEY (bot, day)
) STRICT, WITHOUT ROWID;
