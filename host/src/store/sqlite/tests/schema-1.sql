-- A file of schema version 1 with a row of every kind, as the Hearth of that version left it. Never changed.
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE counter (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "counter" VALUES('kv-version',8);
INSERT INTO "counter" VALUES('lease-token',41);
INSERT INTO "counter" VALUES('ping',0);
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
INSERT INTO "event" VALUES(1,X'00000000000000000000000000000001','a',1,1,'message',X'0707070707070707070707070707070707070707070707070707070707070707','message 1',1800000000000,'done',1,1800000001000);
INSERT INTO "event" VALUES(2,X'00000000000000000000000000000002','a',1,2,'message',X'0707070707070707070707070707070707070707070707070707070707070707','message 2',1800000000000,'failed',1,1800000002000);
INSERT INTO "event" VALUES(3,X'00000000000000000000000000000003','a',1,3,'message',X'0707070707070707070707070707070707070707070707070707070707070707','message 3',1800000000000,'failed',4,1800000003000);
INSERT INTO "event" VALUES(4,X'00000000000000000000000000000004','a',1,4,'message',X'0707070707070707070707070707070707070707070707070707070707070707','message 4',1800000000000,'refused',0,1800000000000);
INSERT INTO "event" VALUES(5,X'00000000000000000000000000000005','a',1,5,'message',X'0707070707070707070707070707070707070707070707070707070707070707','message 5',1800000000000,'running',1,NULL);
INSERT INTO "event" VALUES(6,X'00000000000000000000000000000006','a',1,6,'message',X'0707070707070707070707070707070707070707070707070707070707070707','message 6',1800000000000,'waiting',0,NULL);
INSERT INTO "event" VALUES(7,X'00000000000000000000000000000007','a',-1,9223372036854775807,'message',X'0707070707070707070707070707070707070707070707070707070707070707','message 9223372036854775807',1800000000000,'waiting',0,NULL);
INSERT INTO "event" VALUES(8,X'00000000000000000000000000000008','a',2,8,'message',X'0707070707070707070707070707070707070707070707070707070707070707','message 8',1800000000000,'done',1,1800000004000);
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
INSERT INTO "journal" VALUES(1,'turn0001',X'00000000000000000000000000000001','a',1,1,1800000000000,1800000001000,'answered','{"posted": [4711]}');
INSERT INTO "journal" VALUES(2,'turn0002',X'00000000000000000000000000000002','a',1,1,1800000000000,1800000002000,'not-posted','{"posted": [4712], "failed": 2, "post-cause": "Campfire refused it"}');
INSERT INTO "journal" VALUES(3,'turn0003',X'00000000000000000000000000000003','a',1,1,1800000000000,1800000003000,'given-up','{"posted": [4713]}');
INSERT INTO "journal" VALUES(4,'turn0004',X'00000000000000000000000000000008','a',2,1,1800000000000,1800000004000,'answered','{"posted": [], "uncertain": 1}');
CREATE TABLE kv (
    bot     TEXT    NOT NULL,
    scope   TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    value   BLOB    NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (bot, scope, key)
) STRICT;
INSERT INTO "kv" VALUES('a','shared','k',X'0076616C7565',7);
INSERT INTO "kv" VALUES('a','room:1','k',X'696E2074686520726F6F6D',8);
CREATE TABLE kv_usage (
    bot   TEXT    NOT NULL PRIMARY KEY,
    keys  INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "kv_usage" VALUES('a',2,19);
CREATE TABLE lane (
    bot        TEXT    NOT NULL,
    room       INTEGER NOT NULL,
    host       BLOB    NOT NULL,
    token      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (bot, room)
) STRICT, WITHOUT ROWID;
INSERT INTO "lane" VALUES('a',1,X'00000000000000000000000000000063',41,1800000030000);
CREATE TABLE part (
    event    INTEGER NOT NULL REFERENCES event (sequence) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    content  TEXT    NOT NULL,
    state    TEXT    NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'unsent', 'posted', 'uncertain', 'failed')),
    message  INTEGER,
    PRIMARY KEY (event, position)
) STRICT;
INSERT INTO "part" VALUES(1,0,'part 0 of 1','posted',4711);
INSERT INTO "part" VALUES(2,0,'part 0 of 2','posted',4712);
INSERT INTO "part" VALUES(2,1,'part 1 of 2','failed',NULL);
INSERT INTO "part" VALUES(2,2,'part 2 of 2','failed',NULL);
INSERT INTO "part" VALUES(3,0,'part 0 of 3','posted',4713);
INSERT INTO "part" VALUES(5,0,'part 0 of 5','posted',NULL);
INSERT INTO "part" VALUES(5,1,'part 1 of 5','planned',NULL);
INSERT INTO "part" VALUES(8,0,'part 0 of 8','uncertain',NULL);
CREATE TABLE session (
    bot        TEXT    NOT NULL,
    room       INTEGER NOT NULL,
    id         BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (bot, room)
) STRICT, WITHOUT ROWID;
INSERT INTO "session" VALUES('a',1,X'000000000000000000000000000001F4',1800086400000);
CREATE INDEX event_unfinished ON event (bot, room) WHERE ended_at IS NULL;
CREATE INDEX event_delivery ON event (bot, message, kind);
CREATE INDEX event_ended ON event (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX lane_expiry ON lane (expires_at);
CREATE INDEX session_expiry ON session (expires_at);
CREATE INDEX journal_bot ON journal (bot);
CREATE INDEX journal_ended ON journal (ended_at);
COMMIT;
