"""Both stores, with one contract; and what is a database's own."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from humbug_agent.receiver.store import opened
from humbug_agent.receiver.store.contract import ALL, Arrival, CallStore, Chosen, StoreError, Total, arrived
from humbug_agent.receiver.store.postgresql import PostgresqlStore
from humbug_agent.receiver.store.sqlite import Store
from tests.kit.forms import CALL
from tests.kit.postgresql_server import DATABASE, PASSWORD, USER, PostgresqlServer

EVENT = {
    "gateway": "x",
    "encoded": "0",
    "Event": "Shutdown",
    "event_time": "2026-11-28 09:00:00",
    "Shutdown": "Cleanly",
}


def url(server: PostgresqlServer, password: str = PASSWORD) -> str:
    return f"postgresql://{USER}:{password}@127.0.0.1:{server.port}/{DATABASE}"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with PostgresqlServer() as started:
        yield started


@dataclass
class Place:
    """A database of either kind: ``open`` makes a store of it, ``run`` has it do what an admin might."""

    open: Callable[[], CallStore]
    run: Callable[[str], object]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    path = tmp_path / "calls.db"

    def run(sql: str) -> None:
        with closing(sqlite3.connect(path)) as db:
            db.execute(sql)

    if request.param == "sqlite":
        return Place(lambda: opened(str(path)), run)
    server: PostgresqlServer = request.getfixturevalue("server")
    server.ask("DROP SCHEMA IF EXISTS humbug_receiver CASCADE")
    return Place(lambda: opened(url(server)), lambda sql: server.ask(sql.replace("TABLE ", "TABLE humbug_receiver.")))


@pytest.fixture
def store(place: Place) -> Iterator[CallStore]:
    with closing(place.open()) as made:
        yield made


def sent(pbx: str, key: str | None = None, received: str = "2026-11-28T09:00:00.000+00:00", **changes: str) -> Arrival:
    made = arrived(pbx, CALL | changes, key)
    return Arrival(made.pbx, made.key, made.parameters, received)


def test_each_call_is_there_once_and_how_often_it_came(store: CallStore) -> None:
    assert store.add([sent("a", "1"), sent("b", "1"), sent("a", "1"), sent("a", "2")]) == [True, True, False, True]
    assert store.add([sent("a", "3"), sent("a", "1"), sent("a", "1"), sent("b", "2")]) == [True, False, False, True]
    rows = [(row["pbx"], row["key"], row["repeats"]) for row in store.rows()]
    assert sorted(rows) == [("a", "1", 3), ("a", "2", 0), ("a", "3", 0), ("b", "1", 0), ("b", "2", 0)]
    ids = [row["id"] for row in store.rows()]
    assert ids == sorted({*ids})
    assert store.totals() == [
        Total("a", 3, 3, "2026-11-28T09:00:00.000+00:00"),
        Total("b", 2, 0, "2026-11-28T09:00:00.000+00:00"),
    ]


def test_every_value_comes_back_as_it_was_sent(store: CallStore) -> None:
    odd = "ä'\"\\ %s {} $1 🎉\n\t"
    call = {name: f"{odd}{name}" for name in CALL} | {"Event": "Cdr"}
    del call["UserField"]
    store.add([arrived("a", call, "k")])
    (row,) = store.rows()
    assert {name: row[name] for name in call if name not in ("gateway", "encoded")} == {
        name: value for name, value in call.items() if name not in ("gateway", "encoded")
    }
    assert row["UserField"] is None


def test_what_is_no_call_has_a_table_of_its_own(store: CallStore) -> None:
    assert store.add([arrived("a", EVENT, "1"), sent("a", "1"), arrived("a", EVENT, "1")]) == [True, True, False]
    assert store.add([arrived("a", EVENT, "1"), arrived("a", EVENT, None)]) == [False, True]
    assert [(one["pbx"], one["Event"], one["fields"], one["repeats"]) for one in store.events()] == [
        ("a", "Shutdown", {"Shutdown": "Cleanly"}, 2),
        ("a", "Shutdown", {"Shutdown": "Cleanly"}, 0),
    ]
    assert store.number(ALL) == 1


def test_many_at_once(store: CallStore) -> None:
    burst = [sent(f"pbx-{n % 7}", str(n // 2)) for n in range(2500)]
    new = store.add(burst)
    assert sum(new) == store.number(ALL) == len({one.identity for one in burst})
    assert store.add(burst) == [False] * 2500


def test_calls_are_chosen(store: CallStore) -> None:
    calls = [
        sent("a", "1", UniqueID="u1", Source="0791", Destination="100", StartTime="2026-11-01 10:00:00"),
        sent("a", "2", UniqueID="u2", Source="100", Destination="0791", StartTime="2026-11-02 10:00:00"),
        sent("b", "3", UniqueID="u%", Source="1_1", Destination="7%1", StartTime="2026-11-03 10:00:00"),
    ]
    store.add(calls)

    def found(**chosen: str) -> list[str]:
        choice = Chosen(**chosen)
        keys = [row["key"] for row in store.rows(choice)]
        assert [row["key"] for row in store.newest(choice, 2)] == keys[-2:]
        assert store.number(choice) == len(keys)
        return keys

    assert found() == ["1", "2", "3"]
    assert found(pbx="a") == ["1", "2"]
    assert found(uniqueid="u%") == ["3"]
    assert found(number="91") == ["1", "2"]
    assert found(number="%1") == ["3"]
    assert found(number="_1") == ["3"]
    assert found(since="2026-11-02 10:00:00") == ["2", "3"]
    assert found(until="2026-11-02 10:00:00", pbx="a") == ["1"]


def test_what_is_too_old_is_forgotten_and_stays_counted(store: CallStore) -> None:
    old, new = "2026-11-01T00:00:00.000+00:00", "2026-11-28T00:00:00.000+00:00"
    store.add([sent("a", str(n), old if n < 3 else new) for n in range(5)])
    last = [row["id"] for row in store.rows()][-1]
    assert store.forget("2026-11-15T00:00:00.000+00:00") == 3
    assert store.forget("2026-11-15T00:00:00.000+00:00") == 0
    assert [row["key"] for row in store.rows()] == ["3", "4"]
    assert store.forget("2027") == 2
    store.add([sent("a", "9", new)])
    assert [row["id"] > last for row in store.rows()] == [True]
    assert store.totals() == [Total("a", 6, 0, new)]


def test_it_is_there_again(place: Place) -> None:
    with closing(place.open()) as store:
        store.add([sent("a", "1")])
    with closing(place.open()) as store:
        assert store.add([sent("a", "1")]) == [False]


def test_a_burst_that_fails_leaves_nothing(place: Place) -> None:
    with closing(place.open()) as store:
        store.add([sent("a", "1")])
        place.run("ALTER TABLE pbxs RENAME TO elsewhere")
        with pytest.raises(StoreError, match="pbxs"):
            store.add([sent("a", "2"), arrived("a", EVENT, "1")])
        place.run("ALTER TABLE elsewhere RENAME TO pbxs")
        assert ([row["key"] for row in store.rows()], store.events()) == (["1"], [])
        assert store.add([sent("a", "2")]) == [True]


# SQLite


def old_file(path: Path) -> None:
    """As the first version made it, with a call and an event."""
    columns = ", ".join(f'"{name}" TEXT' for name in CALL if name not in ("gateway", "encoded"))
    rest = "key TEXT PRIMARY KEY NOT NULL, received TEXT NOT NULL, repeats INTEGER NOT NULL DEFAULT 0"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f'CREATE TABLE calls ({columns}, "Description" TEXT, {rest})')
        db.execute(f"CREATE TABLE events (Event TEXT, event_time TEXT, fields TEXT, {rest})")
        names = [name for name in CALL if name not in ("gateway", "encoded")]
        for key, repeats in (("z", 2), ("b", 0)):
            listed = ", ".join(f'"{name}"' for name in (*names, "key", "received", "repeats"))
            values = [*(CALL[name] for name in names), key, f"2026-01-0{repeats + 1}T00:00:00.000+00:00", repeats]
            db.execute(f"INSERT INTO calls ({listed}) VALUES ({', '.join('?' * len(values))})", values)
        db.execute("INSERT INTO events VALUES ('Alarm', '2026-01-01 00:00:00', '{\"Alarm\": \"Red\"}', 'e', 'then', 1)")


def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    old_file(path)
    with closing(Store(path)) as store:
        assert [(row["id"], row["pbx"], row["key"], row["repeats"]) for row in store.rows()] == [
            (1, "", "z", 2),
            (2, "", "b", 0),
        ]
        assert next(store.rows())["Source"] == CALL["Source"]
        assert [(one["key"], one["fields"], one["repeats"]) for one in store.events()] == [("e", {"Alarm": "Red"}, 1)]
        assert store.totals() == [Total("", 2, 2, "2026-01-03T00:00:00.000+00:00")]
        assert store.add([sent("", "z"), sent("a", "z")]) == [False, True]
    with closing(Store(path)) as store:
        assert store.count() == 3


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="was made by a newer version"):
        Store(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


# PostgreSQL


def test_several_on_one_database(server: PostgresqlServer) -> None:
    server.ask("DROP SCHEMA IF EXISTS humbug_receiver CASCADE")
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(PostgresqlStore(url(server)))) for _ in range(3)]
        assert [store.add([sent("a", "1"), sent("a", str(n))]) for n, store in enumerate(stores, 2)] == [
            [True, True],
            [False, True],
            [False, True],
        ]
        assert stores[0].totals() == [Total("a", 4, 2, "2026-11-28T09:00:00.000+00:00")]


def test_it_goes_on_once_the_server_is_back(server: PostgresqlServer) -> None:
    with closing(PostgresqlStore(url(server))) as store:
        store.add([sent("again", "1")])
        server.kill()
        with pytest.raises(StoreError, match=f"^PostgreSQL at 127.0.0.1:{server.port}, database {DATABASE}: "):
            store.add([sent("again", "2")])
        server.start()
        assert store.add([sent("again", "1"), sent("again", "2")]) == [False, True]


@pytest.mark.parametrize("where", ["postgresql://h/d?nonsense=1", "postgresql://u:word@[x/d"])
def test_no_url(where: str) -> None:
    with pytest.raises(StoreError, match="--store: is no URL of a database, such as") as found:
        opened(where)
    assert "word" not in str(found.value)


def test_a_wrong_password_is_said_and_not_shown(server: PostgresqlServer) -> None:
    with pytest.raises(StoreError, match="authentication failed") as found:
        opened(url(server, "wrong-word"))
    assert "wrong-word" not in str(found.value)
