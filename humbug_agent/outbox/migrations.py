"""The outbox's tables, as they came to be.

Times are seconds since the epoch (UTC). The migrations are recorded in the file by sqlite-utils; a migration, once
released, is never edited: a change is a new one below it.
"""

import time

from sqlite_utils import Database, Migrations

from humbug_agent.outbox.minutes import SENT_MINUTES

migrations = Migrations("humbug-agent")


@migrations()
def m001_first(db: Database) -> None:
    # An id is never given to another call: who still has it in hand must not mark that one.
    db.conn.execute(
        """CREATE TABLE calls (
            id INTEGER PRIMARY KEY AUTOINCREMENT, identity BLOB NOT NULL UNIQUE,
            source TEXT NOT NULL, accepted REAL NOT NULL,
            src TEXT NOT NULL, dst TEXT NOT NULL, dcontext TEXT NOT NULL, clid TEXT NOT NULL,
            channel TEXT NOT NULL, dstchannel TEXT NOT NULL, lastapp TEXT NOT NULL, lastdata TEXT NOT NULL,
            start REAL NOT NULL, answer REAL, end REAL NOT NULL, duration INTEGER NOT NULL, billsec INTEGER NOT NULL,
            disposition TEXT NOT NULL, direction TEXT NOT NULL, accountcode TEXT NOT NULL, uniqueid TEXT NOT NULL,
            userfield TEXT NOT NULL, linkedid TEXT NOT NULL, extra TEXT NOT NULL
        )"""
    )
    db.conn.execute("CREATE INDEX calls_accepted ON calls (accepted)")
    db.conn.execute("CREATE INDEX calls_start ON calls (start)")
    db.conn.execute("CREATE INDEX calls_uniqueid ON calls (uniqueid)")
    # What retention dropped: a file read again from its beginning must not bring it back.
    db.conn.execute("CREATE TABLE forgotten (identity BLOB PRIMARY KEY) WITHOUT ROWID")
    # due is 0 until the first failure: new calls go in the order they came, repeats when their time has come.
    db.conn.execute(
        """CREATE TABLE deliveries (
            call INTEGER NOT NULL, destination TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting',
            attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0, tried REAL,
            status INTEGER, reply TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (call, destination)
        ) WITHOUT ROWID"""
    )
    db.conn.execute("CREATE INDEX deliveries_due ON deliveries (destination, due, call) WHERE state = 'waiting'")
    db.conn.execute("CREATE INDEX deliveries_state ON deliveries (state, call) WHERE state <> 'sent'")
    db.conn.execute(
        """CREATE TABLE failures (
            id INTEGER PRIMARY KEY, call INTEGER NOT NULL, destination TEXT NOT NULL, at REAL NOT NULL,
            status INTEGER, reply TEXT NOT NULL, error TEXT NOT NULL
        )"""
    )
    db.conn.execute("CREATE INDEX failures_call ON failures (call, destination)")
    db.conn.execute(
        """CREATE TABLE rejects (
            id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, source TEXT NOT NULL, at REAL NOT NULL,
            place TEXT NOT NULL, reason TEXT NOT NULL, text BLOB NOT NULL
        )"""
    )
    db.conn.execute(
        """CREATE TABLE cursors (
            source TEXT PRIMARY KEY, cursor TEXT NOT NULL, at REAL NOT NULL,
            calls INTEGER NOT NULL, rejects INTEGER NOT NULL
        )"""
    )
    # What the daemon last said of each of its parts, for the other processes that ask.
    db.conn.execute(
        "CREATE TABLE health (part TEXT PRIMARY KEY, state TEXT NOT NULL, message TEXT NOT NULL, since REAL NOT NULL)"
    )


@migrations()
def m002_second_source(db: Database) -> None:
    # Which other source has seen the call, too.
    db.conn.execute("ALTER TABLE calls ADD COLUMN also TEXT NOT NULL DEFAULT ''")
    db.conn.execute("ALTER TABLE calls ADD COLUMN event TEXT NOT NULL DEFAULT 'Cdr'")
    db.conn.execute("CREATE INDEX calls_other_events ON calls (event) WHERE event <> 'Cdr'")
    # Who saw what, counted from the index alone.
    db.conn.execute("DROP INDEX calls_accepted")
    db.conn.execute('CREATE INDEX calls_accepted ON calls (accepted, source, also, event, "end")')


@migrations()
def m003_what_was_sent(db: Database) -> None:
    # How a delivery stood when a replay began it anew: what it was answered then must not be forgotten.
    db.conn.execute(
        """CREATE TABLE replays (
            id INTEGER PRIMARY KEY, call INTEGER NOT NULL, destination TEXT NOT NULL, at REAL NOT NULL,
            state TEXT NOT NULL, attempts INTEGER NOT NULL, tried REAL, status INTEGER, reply TEXT NOT NULL,
            error TEXT NOT NULL
        )"""
    )
    db.conn.execute("CREATE INDEX replays_call ON replays (call, destination)")
    # In deliveries it would take an index over all of them, and what was replayed or dropped since would be missing.
    db.conn.execute(
        """CREATE TABLE sent_minutes (
            destination TEXT NOT NULL, minute INTEGER NOT NULL, sent INTEGER NOT NULL,
            PRIMARY KEY (destination, minute)
        ) WITHOUT ROWID"""
    )
    db.conn.execute(
        "INSERT INTO sent_minutes SELECT destination, CAST(tried / 60 AS INTEGER) AS minute, count(*) FROM deliveries "
        "WHERE state = 'sent' AND tried >= ? GROUP BY destination, minute",
        ((time.time() // 60 - SENT_MINUTES) * 60,),
    )
    db.conn.execute("CREATE INDEX rejects_source ON rejects (source)")


@migrations()
def m004_wall_clock(db: Database) -> None:
    # How far the PBX's clock was from UTC at these times, in seconds: what it showed is sent, whatever the zone is said
    # to be by then. NULL for older calls until the daemon's next start, which knows the zone (`keep_wall_clock`).
    for column in ("start_offset", "answer_offset", "end_offset"):
        db.conn.execute(f"ALTER TABLE calls ADD COLUMN {column} INTEGER")
    db.conn.execute("CREATE INDEX calls_without_clock ON calls (id) WHERE start_offset IS NULL AND event = 'Cdr'")


@migrations()
def m005_bounds(db: Database) -> None:
    # When the call was dropped, in whole hours since the epoch; 0 where that is not known.
    db.conn.execute("ALTER TABLE forgotten ADD COLUMN hour INTEGER NOT NULL DEFAULT 0")
    # What was not understood and is only counted, since its source's rejects have all the room that they may have.
    db.conn.execute("ALTER TABLE cursors ADD COLUMN unkept INTEGER NOT NULL DEFAULT 0")
    # The room that a source's rejects take, from the index alone.
    db.conn.execute("ALTER TABLE rejects ADD COLUMN bytes INTEGER GENERATED ALWAYS AS (length(text)) VIRTUAL")
    db.conn.execute("DROP INDEX rejects_source")
    db.conn.execute("CREATE INDEX rejects_source ON rejects (source, bytes)")


@migrations()
def m006_what_must_hold(db: Database) -> None:
    # By triggers, which look at what is written from now on and cost a file with a million calls nothing. Constraints
    # in the tables would have them written anew, and one damaged value would be found by the look at the start, which
    # moves the whole file aside: now that one delivery is dead, and the others go on. What is wrong already may stay
    # so, or get better.
    db.conn.execute(
        "CREATE TRIGGER deliveries_hold_insert AFTER INSERT ON deliveries "
        "WHEN NEW.state NOT IN ('waiting', 'sent', 'dead') OR NEW.attempts < 0 OR NEW.due < 0 "
        "BEGIN SELECT raise(ABORT, 'a delivery would be none'); END"
    )
    db.conn.execute(
        "CREATE TRIGGER deliveries_hold_update AFTER UPDATE OF state, attempts, due ON deliveries "
        "WHEN (NEW.state NOT IN ('waiting', 'sent', 'dead') AND NEW.state <> OLD.state) "
        "OR (NEW.attempts < 0 AND OLD.attempts >= 0) OR (NEW.due < 0 AND OLD.due >= 0) "
        "BEGIN SELECT raise(ABORT, 'a delivery would be none'); END"
    )
    db.conn.execute(
        "CREATE TRIGGER deliveries_have_calls AFTER INSERT ON deliveries "
        "WHEN NOT EXISTS (SELECT 1 FROM calls WHERE id = NEW.call) "
        "BEGIN SELECT raise(ABORT, 'a delivery would have no call'); END"
    )
    db.conn.execute(
        "CREATE TRIGGER calls_of_deliveries AFTER DELETE ON calls "
        "WHEN EXISTS (SELECT 1 FROM deliveries WHERE call = OLD.id) "
        "BEGIN SELECT raise(ABORT, 'a delivery would lose its call'); END"
    )


@migrations()
def m007_kept_counts(db: Database) -> None:
    # How many there are of each, kept and not counted: that took the longer the more there were. By triggers, so that
    # they are right whoever writes. What stands in no state that there is is counted as none.
    db.conn.execute(
        "CREATE TABLE kept (destination TEXT PRIMARY KEY, waiting INTEGER NOT NULL, sent INTEGER NOT NULL, "
        "dead INTEGER NOT NULL) WITHOUT ROWID"
    )
    db.conn.execute("CREATE TABLE kept_calls (id INTEGER PRIMARY KEY, number INTEGER NOT NULL)")
    db.conn.execute(
        "INSERT INTO kept SELECT destination, total(state = 'waiting'), total(state = 'sent'), total(state = 'dead') "
        "FROM deliveries GROUP BY destination"
    )
    db.conn.execute("INSERT INTO kept_calls SELECT 1, count(*) FROM calls")
    counted = (
        "ON CONFLICT (destination) DO UPDATE SET waiting = waiting + excluded.waiting, sent = sent + excluded.sent, "
        "dead = dead + excluded.dead"
    )
    # One trigger for each event, for each costs a row that is written as much as an index does; the checks are those
    # of m006.
    for trigger in ("deliveries_hold_insert", "deliveries_have_calls", "deliveries_hold_update"):
        db.conn.execute(f"DROP TRIGGER {trigger}")
    db.conn.execute(
        "CREATE TRIGGER deliveries_insert AFTER INSERT ON deliveries BEGIN "
        "SELECT raise(ABORT, 'a delivery would be none') "
        "WHERE NEW.state NOT IN ('waiting', 'sent', 'dead') OR NEW.attempts < 0 OR NEW.due < 0; "
        "SELECT raise(ABORT, 'a delivery would have no call') WHERE NOT EXISTS "
        "(SELECT 1 FROM calls WHERE id = NEW.call); "
        "INSERT INTO kept VALUES (NEW.destination, NEW.state = 'waiting', NEW.state = 'sent', NEW.state = 'dead') "
        f"{counted}; END"
    )
    db.conn.execute(
        "CREATE TRIGGER deliveries_update AFTER UPDATE OF state, attempts, due ON deliveries "
        "WHEN NEW.state <> OLD.state OR NEW.attempts < 0 OR NEW.due < 0 BEGIN "
        "SELECT raise(ABORT, 'a delivery would be none') "
        "WHERE (NEW.state NOT IN ('waiting', 'sent', 'dead') AND NEW.state <> OLD.state) "
        "OR (NEW.attempts < 0 AND OLD.attempts >= 0) OR (NEW.due < 0 AND OLD.due >= 0); "
        "UPDATE kept SET waiting = waiting + (NEW.state = 'waiting') - (OLD.state = 'waiting'), "
        "sent = sent + (NEW.state = 'sent') - (OLD.state = 'sent'), "
        "dead = dead + (NEW.state = 'dead') - (OLD.state = 'dead') WHERE destination = NEW.destination; END"
    )
    db.conn.execute(
        "CREATE TRIGGER deliveries_delete AFTER DELETE ON deliveries BEGIN "
        "UPDATE kept SET waiting = waiting - (OLD.state = 'waiting'), sent = sent - (OLD.state = 'sent'), "
        "dead = dead - (OLD.state = 'dead') WHERE destination = OLD.destination; END"
    )
    db.conn.execute(
        "CREATE TRIGGER calls_insert AFTER INSERT ON calls BEGIN UPDATE kept_calls SET number = number + 1; END"
    )
    db.conn.execute(
        "CREATE TRIGGER calls_delete AFTER DELETE ON calls BEGIN UPDATE kept_calls SET number = number - 1; END"
    )


@migrations()
def m008_aliases(db: Database) -> None:
    # The other identities that a call is known by (`twins`).
    db.conn.execute("CREATE TABLE aliases (identity BLOB PRIMARY KEY, call INTEGER NOT NULL) WITHOUT ROWID")
    db.conn.execute("CREATE INDEX aliases_call ON aliases (call)")


@migrations()
def m009_api_tokens(db: Database) -> None:
    # Of who logged in to the API; the secret itself is nowhere. A number is never given to another token.
    db.conn.execute(
        """CREATE TABLE tokens (
            id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, digest BLOB NOT NULL, made REAL NOT NULL,
            used REAL
        )"""
    )
    db.conn.execute("CREATE INDEX tokens_account ON tokens (account)")


@migrations()
def m010_untaken(db: Database) -> None:
    # 1: no destination took the call when it came (`takers`), and none has been given it since.
    db.conn.execute("ALTER TABLE calls ADD COLUMN untaken INTEGER NOT NULL DEFAULT 0")
    db.conn.execute("CREATE INDEX calls_untaken ON calls (id) WHERE untaken = 1")


@migrations()
def m011_journeys_and_history(db: Database) -> None:
    # What belongs to one story is found by it (`journeys`). Many PBXs tell none; those pay nothing.
    db.conn.execute("CREATE INDEX calls_linkedid ON calls (linkedid) WHERE linkedid <> ''")
    # What was called in each quarter of an hour (`quarters`).
    db.conn.execute(
        "CREATE TABLE quarters (quarter INTEGER NOT NULL, place TEXT NOT NULL, answered INTEGER NOT NULL, "
        "missed INTEGER NOT NULL, seconds INTEGER NOT NULL, PRIMARY KEY (quarter, place)) WITHOUT ROWID"
    )
    db.conn.execute(
        "INSERT INTO quarters SELECT CAST(start / 900 AS INTEGER), CASE WHEN direction IN ('inbound', 'internal') "
        "OR ltrim(dst, '+') GLOB '*[^0-9]*' THEN '' WHEN dst GLOB '+*' THEN '+' || substr(dst, 2, 3) "
        "WHEN dst GLOB '00*' THEN '+' || substr(dst, 3, 3) WHEN length(dst) >= 5 THEN length(dst) || ':' || "
        "substr(dst, 1, 3) ELSE '' END, total(disposition = 'ANSWERED'), total(disposition <> 'ANSWERED'), "
        "total(billsec) FROM calls WHERE start >= ? AND event = 'Cdr' GROUP BY 1, 2",
        (time.time() - 36 * 86400,),
    )


@migrations()
def m012_what_was_dropped(db: Database) -> None:
    # How many calls of the PBX's there are of each 4096 ids: who pages through all of them counts none.
    for trigger in ("calls_insert", "calls_delete"):
        db.conn.execute(f"DROP TRIGGER {trigger}")
    db.conn.execute("DELETE FROM kept_calls")
    db.conn.execute("INSERT INTO kept_calls SELECT id / 4096, count(*) FROM calls WHERE event = 'Cdr' GROUP BY 1")
    db.conn.execute(
        "CREATE TRIGGER calls_insert AFTER INSERT ON calls WHEN NEW.event = 'Cdr' BEGIN "
        "INSERT INTO kept_calls VALUES (NEW.id / 4096, 1) ON CONFLICT (id) DO UPDATE SET number = number + 1; END"
    )
    db.conn.execute(
        "CREATE TRIGGER calls_delete AFTER DELETE ON calls WHEN OLD.event = 'Cdr' BEGIN "
        "UPDATE kept_calls SET number = number - 1 WHERE id = OLD.id / 4096; "
        "DELETE FROM kept_calls WHERE id = OLD.id / 4096 AND number = 0; END"
    )
    # What retention dropped, and how many calls went for any reason (`dropping`). Which they were until now nobody
    # wrote down: it drops in the order of the ids what every destination has.
    db.conn.execute(
        "CREATE TABLE dropped (number INTEGER NOT NULL, last INTEGER NOT NULL, start REAL NOT NULL, end REAL NOT NULL)"
    )
    db.conn.execute("INSERT INTO dropped VALUES (0, 0, 0, 0)")
    if not db.conn.execute("SELECT 1 FROM forgotten LIMIT 1").fetchone():
        return
    kept = db.conn.execute(
        "SELECT id - 1, end FROM calls WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE call = id AND "
        "state <> 'sent') AND end BETWEEN 0 AND 99999999999 ORDER BY id LIMIT 1"
    ).fetchone()
    ever = db.conn.execute("SELECT seq FROM sqlite_sequence WHERE name = 'calls'").fetchone()
    last, end = kept or (ever[0] if ever else 0, time.time())
    db.conn.execute("UPDATE dropped SET last = ?1, start = ?2, end = ?2", (last, end))
