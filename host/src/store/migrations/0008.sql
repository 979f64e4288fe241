-- Finds a turn by the id that rooms and logs show.
CREATE INDEX journal_turn ON journal (turn);
