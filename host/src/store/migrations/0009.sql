-- What each turn's plugin was called with, asked and said, as JSON, for as long as the turn's journal row is kept.
CREATE TABLE trace (
    turn    INTEGER PRIMARY KEY REFERENCES journal (sequence) ON DELETE CASCADE,
    content TEXT    NOT NULL
) STRICT;
