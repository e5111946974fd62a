"""A collector's calls, asked for by the three APIs: of both stores, and by an agent that sends them to the next one."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from humbug_agent.api.app import Api
from humbug_agent.api.calls import stored
from humbug_agent.api.settings import ApiAccount, ServedApiSettings
from humbug_agent.api.workers import Workers
from humbug_agent.call_store.contract import Dropped, Wanted
from humbug_agent.call_store.pages import Views
from humbug_agent.cli.main import main
from humbug_agent.http_server.server import Server
from humbug_agent.ini import Secret
from humbug_agent.receiver import Background, Receiver, Store
from humbug_agent.receiver.keys import Keys
from humbug_agent.receiver.store import opened
from humbug_agent.receiver.store.api_store import StoredCalls, prepare
from humbug_agent.receiver.store.contract import CallStore, arrived
from tests.kit.forms import CALL
from tests.kit.host import API_KEY, Host
from tests.kit.postgresql_server import DATABASE, PASSWORD, USER, PostgresqlServer

ZONE = ZoneInfo("Europe/Zurich")
OFFICE, SHOP = "office-" * 4, "shop-" * 6


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with PostgresqlServer() as started:
        yield started


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CallStore]:
    where = str(tmp_path / "calls.db")
    if request.param == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("server")
        server.ask("DROP SCHEMA IF EXISTS humbug_receiver CASCADE")
        where = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{server.port}/{DATABASE}"
    with closing(opened(where)) as made:
        prepare(made)
        yield made


def number(n: int) -> dict[str, str]:
    """The ``n``-th of a series of calls, one each hour; every third is answered, some spelt as on Humbug's page."""
    start = datetime(2026, 3, 28, tzinfo=UTC).timestamp() + 3600 * n
    shown = [f"{datetime.fromtimestamp(start + after, UTC):%Y-%m-%d %H:%M:%S}" for after in (0, 5, 60 + n % 7)]
    changes = {
        "StartTime": shown[0], "AnswerTime": "" if n % 3 else shown[1], "EndTime": shown[2], "UniqueID": f"u{n}",
        "Source": f"10{n}{'' if n % 5 else 'Desk'}", "Destination": f"079{n}%_",
        "Disposition": ("ANSWER", "NO ANSWER", "CONGENSTION")[n % 3],
        "UserField": ("inbound", "outbound", "other")[n % 3], "Duration": str(60 + n % 7), "BillableSeconds": "5",
    }  # fmt: skip
    return CALL | changes


def at(shown: str) -> float:
    return datetime.fromisoformat(shown).replace(tzinfo=ZONE).timestamp()


CHOICES: list[tuple[Wanted, Callable[[int, dict[str, str]], bool]]] = [
    (Wanted(), lambda n, call: True),
    (Wanted(tenants=("shop",)), lambda n, call: n % 2 == 1),
    (Wanted(tenants=()), lambda n, call: False),
    (Wanted(since=at("2026-03-28 10:00:00"), until=at("2026-03-29 10:00:00")), lambda n, call: 10 <= n < 34),
    (Wanted(ended_since=at("2026-03-28 10:01:01")), lambda n, call: call["EndTime"] >= "2026-03-28 10:01:01"),
    (Wanted(ended_until=at("2026-03-28 10:01:01")), lambda n, call: call["EndTime"] < "2026-03-28 10:01:01"),
    (Wanted(directions=("inbound",)), lambda n, call: n % 3 == 0),
    (Wanted(directions=("outbound", "unknown")), lambda n, call: n % 3 > 0),
    (Wanted(dispositions=("ANSWERED", "CONGESTION")), lambda n, call: n % 3 != 1),
    (Wanted(number="1012"), lambda n, call: n == 12),
    (Wanted(part="7%_"), lambda n, call: str(n).endswith("7")),
    (Wanted(src="02"), lambda n, call: "02" in call["Source"]),
    (Wanted(dst="92"), lambda n, call: "92" in call["Destination"]),
    (Wanted(part="Desk"), lambda n, call: n % 5 == 0),
    (Wanted(src="desk"), lambda n, call: False),
    (Wanted(dst="%"), lambda n, call: True),
    (Wanted(hours=(8 * 3600, 9 * 3600 - 1)), lambda n, call: n % 24 == 8),
    (Wanted(hours=(22 * 3600, 3600 - 1)), lambda n, call: n % 24 in (22, 23, 0)),
    (Wanted(uniqueids=("u1", "u30")), lambda n, call: n in (1, 30)),
    (Wanted(linkedids=("u1",)), lambda n, call: False),
    (Wanted(said=(("project_id", ("1",)),)), lambda n, call: False),
    (Wanted(has=((("recording_file",), True),)), lambda n, call: False),
    (Wanted(has=((("recording_file",), False),)), lambda n, call: True),
]


def test_it_finds_what_is_asked_for(store: CallStore) -> None:
    calls = [number(n) for n in range(48)]
    store.add([arrived(("office", "shop")[n % 2], call, f"{n:032x}") for n, call in enumerate(calls)])
    asked = StoredCalls(store, ZONE, Views())
    for wanted, holds in CHOICES:
        expected = [call["UniqueID"] for n, call in enumerate(calls) if holds(n, call)]
        page = asked.page("who", wanted, 0, 1, 1000)
        assert ([flat.uniqueid for _, flat in page.calls], page.count) == (expected, len(expected)), wanted
        walked: list[tuple[int, Any]] = []
        while found := asked.after(wanted, walked[-1] if walked else None, 7):
            walked += found
        assert [flat.uniqueid for _, flat in walked] == expected, wanted
    _, flat = asked.page("who", Wanted(uniqueids=("u3",)), 0, 1, 1).calls[0]
    assert (flat.start, flat.answer, flat.end) == (
        at("2026-03-28 03:00:00"), at("2026-03-28 03:00:05"), at("2026-03-28 03:01:03"),
    )  # fmt: skip
    assert (flat.identity.hex(), flat.accountcode, flat.extra) == (f"{3:032x}", "shop", '{"domain_name": "shop"}')
    assert (flat.disposition, flat.direction, flat.start_offset) == ("ANSWERED", "inbound", 3600)


def test_calls_of_an_hour_that_the_collectors_clock_skips_are_all_told(store: CallStore) -> None:
    """The PBX's clock shows UTC, and Zurich has no 02:00 to 03:00 on 29 March."""
    times = [f"2026-03-29 0{hour}:{minute:02}:00" for hour in (1, 2, 3) for minute in (0, 20, 40)]
    calls = [CALL | dict.fromkeys(("StartTime", "EndTime"), shown) | {"UniqueID": shown} for shown in times]
    store.add([arrived("office", one, f"{n:032x}") for n, one in enumerate(calls)])
    asked = StoredCalls(store, ZONE, Views())
    for wanted in (Wanted(), Wanted(ended_since=at("2026-03-29 00:00:00"))):
        walked: list[tuple[int, Any]] = []
        while found := asked.after(wanted, walked[-1] if walked else None, 1):
            walked += found
        assert [flat.uniqueid for _, flat in walked] == times


def test_text_that_a_database_keeps_otherwise_is_found_as_it_was_sent(store: CallStore) -> None:
    store.add([arrived("office", CALL | {"Source": "1\0", "UniqueID": "u\0"}, "k")])
    asked = StoredCalls(store, ZONE, Views())
    for wanted in (Wanted(number="1\0"), Wanted(src="\0"), Wanted(uniqueids=("u\0",))):
        assert asked.page("who", wanted, 0, 1, 10).count == 1, wanted
    assert asked.page("who", Wanted(tenants=("office\0",)), 0, 1, 10).count == 0


def test_a_length_that_no_number_holds_makes_no_answer_fail(store: CallStore) -> None:
    """The receiver refuses it by now; a store of before may have it."""
    store.add([arrived("office", CALL | {"Duration": "9" * 5000, "UniqueID": "long"}, "long"), arrived("a", CALL, "b")])
    page = StoredCalls(store, ZONE, Views()).page("who", Wanted(), 0, 1, 10)
    assert [stored(number, flat, ZONE) is not None for number, flat in page.calls] == [False, True]


def test_what_retention_dropped_is_known_behind_a_call_that_stays_too(store: CallStore) -> None:
    asked = StoredCalls(store, ZONE, Views())
    assert asked.dropped() is None
    assert asked.page("who", Wanted(), 0, 1, 10).count == 0
    stays = replace(arrived("a", number(0), "0"), received="2999-01-01")
    store.add([stays, *(arrived("a", number(n), str(n)) for n in range(1, 4))])
    assert asked.page("who", Wanted(), 0, 1, 10).count == 4
    assert asked.dropped() is None
    store.forget("2998")
    first = Dropped(4, at("2026-03-28 03:00:00"), at("2026-03-28 03:01:03"))
    assert asked.dropped() == first
    assert asked.page("who", Wanted(), 0, 1, 10).count == 1
    store.add([arrived("a", number(9), "9")])
    assert asked.dropped() == first
    page = asked.page("who", Wanted(), 0, 1, 10)
    assert [flat.uniqueid for _, flat in page.calls] == ["u0", "u9"]
    store.forget("2999-02")
    assert asked.dropped() == Dropped(5, at("2026-03-28 09:00:00"), at("2026-03-28 09:01:02"))


def test_tokens(store: CallStore) -> None:
    asked = StoredCalls(store, ZONE, Views())
    first, second = asked.add_token("a", b"1" * 32), asked.add_token("b", b"2" * 32)
    asked.use_token(first)
    found = asked.token(first)
    assert found
    assert (found.account, found.digest, found.made <= (found.used or 0)) == ("a", b"1" * 32, True)
    assert asked.drop_tokens("a") == 1
    assert asked.token(first) is None
    assert asked.token(second)
    assert asked.add_token("a", b"3" * 32) > second


def test_tokens_are_listed_and_revoked_by_the_command(tmp_path: Path) -> None:
    where = str(tmp_path / "calls.db")

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["receiver", "tokens", *words, "--store", where])

    with closing(opened(where)) as store:
        asked = StoredCalls(store, ZONE, Views())
        made = [asked.add_token(name, bytes(32)) for name in ("a", "b", "a", "a")]
        asked.use_token(made[1])
        found = json.loads(run("list", "--json").stdout)
        assert [(one["id"], one["account"], one["used"] is None) for one in found] == [
            (1, "a", True), (2, "b", False), (3, "a", True), (4, "a", True),
        ]  # fmt: skip
        assert "API NAME" in run("list").stdout
        assert run("revoke", "1").stdout == "1 token revoked\n"
        again = run("revoke", "1")
        assert (again.exit_code, "humbug-agent receiver tokens list has all that are" in again.output) == (1, True)
        assert run("revoke").exit_code == run("revoke", "2", "--account", "a").exit_code == 2
        assert run("revoke", "--account", "a").stdout == "2 tokens revoked\n"
        assert [one.id for one in asked.tokens()] == [2]


@contextmanager
def asking(store: CallStore) -> Iterator[str]:
    """All three APIs on a store; the URL."""
    account = ApiAccount(
        "all", None, token=Secret("a-token"), api_key=Secret("a-key"), username="me", user_key=Secret("a-key"),
        email="me@here", password=Secret("a-word"),
    )  # fmt: skip
    settings = ServedApiSettings(
        host="127.0.0.1", port=0, require_tls=False, certificate=None, private_key=None,
        cdr=True, getcdr=True, call_range=True, register=False, accounts={"all": account},
    )  # fmt: skip
    prepare(store)
    workers = Workers(partial(StoredCalls, store, ZoneInfo("UTC"), Views()))
    with ExitStack() as held:
        held.callback(workers.stop)
        server = Server(Api(settings, ZoneInfo("UTC"), "", workers), settings)
        server.start()
        held.callback(server.stop)
        yield f"http://127.0.0.1:{server.port}"


SOURCES = {
    "cdr": "type = while1\nurl = {url}/api/cdr\ntoken = a-token\napi_key = a-key",
    "getcdr": "type = boxis\nurl = {url}/\nusername = me\nuser_key = a-key\ntenants = office",
    "call_range": "type = fusionpbx\nurl = {url}\nemail = me@here\npassword = a-word\ndomains = office",
}
"""An agent's source that asks by each of them."""


def collected(folder: Path, name: str, stack: ExitStack) -> Host:
    """An agent's host, and the collector that it sends to as the PBX office."""
    (folder / name).mkdir()
    store = stack.enter_context(closing(Store(folder / name / "calls.db")))
    receiver = Receiver(store)
    receiver.keys = Keys()
    receiver.keys.add(API_KEY, "office")
    return Host(folder / name, stack.enter_context(Background(receiver)), store)


@pytest.mark.slow
@pytest.mark.parametrize("api", SOURCES)
def test_from_agent_to_collector_to_agent_to_collector(tmp_path: Path, api: str) -> None:
    with ExitStack() as stack:
        first, second = (collected(tmp_path, name, stack) for name in ("first", "second"))
        first.configure()
        first.write()
        first.run("run", "--once")
        url = stack.enter_context(asking(first.store))
        source = SOURCES[api].format(url=url)
        second.configure(source=f"[source collector]\n{source}\nsince = 2026-11-01\n")
        second.run("run", "--once")
        there, here = ({row["key"]: _told(row) for row in host.store.rows()} for host in (first, second))
        assert len(there) == 126
        assert here == there


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """What the PBX said of the call; the rest is about how it came."""
    return {name: value for name, value in row.items() if name not in ("id", "received", "event_time", "repeats")}
