"""The agent's own sources, of the vendors' APIs, at each API of an agent: the same is told by all three."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from humbug_agent.cdr import CDR, Batch, Direction, Disposition
from humbug_agent.ini import Secret
from humbug_agent.outbox.dropping import Piecemeal, choose, forget, forget_delivered, mark
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.sources.boxis.settings import BoxisSettings
from humbug_agent.sources.boxis.source import Boxis
from humbug_agent.sources.contract import Source
from humbug_agent.sources.fusionpbx.settings import FusionpbxSettings
from humbug_agent.sources.fusionpbx.source import Fusionpbx
from humbug_agent.sources.while1.settings import While1Settings
from humbug_agent.sources.while1.source import While1
from tests.kit.api_asked import get, getcdr, leg, login
from tests.kit.api_served import EMAIL, KEY, PASSWORD, TOKEN, USER_KEY, ZONE, ServedApi, call, store
from tests.kit.pull_server import api


@dataclass(frozen=True)
class Pull:
    """An API: the source that asks by it for the calls of these tenants, and what it says was dropped since a time."""

    source: Callable[[ServedApi, tuple[str, ...], Any], Source]
    dropped: Callable[[ServedApi, str], str]
    late: bool = True
    """Whether calls that came late must be asked for anew, as an admin does."""


def while1(form: str) -> Callable[[ServedApi, tuple[str, ...], Any], Source]:
    def made(served: ServedApi, tenants: tuple[str, ...], since: Any) -> Source:
        where = api(served.url, since=since, timezone=ZONE)
        return While1(While1Settings("w", where, Secret(TOKEN), Secret(KEY), form, {}), ZONE)

    return made


def boxis(served: ServedApi, tenants: tuple[str, ...], since: Any) -> Source:
    where = api(f"{served.where}/", since=since, timezone=ZONE)
    return Boxis(BoxisSettings("b", where, EMAIL, Secret(USER_KEY), tenants), ZONE)


def fusionpbx(served: ServedApi, tenants: tuple[str, ...], since: Any) -> Source:
    return Fusionpbx(FusionpbxSettings("f", api(served.where, since=since), EMAIL, Secret(PASSWORD), tenants), ZONE)


def messages(served: ServedApi, since: str) -> str:
    return " ".join(served.ask({"date_between": [since, "2026-03-15"]} if since else {})["messages"])


def result(served: ServedApi, since: str) -> str:
    return str(getcdr(served, datefrom=since)["resulttxt"]).removeprefix("success").removeprefix("; ")


def warning(served: ServedApi, since: str) -> str:
    asked = {"from": since, "to": "2026-03-15"} if since else {}
    answer = get(served, login(served), "call_range" if since else "calls", domain_name="t1", **asked)
    return answer.headers.get("warning", "").removeprefix('299 humbug-agent "').removesuffix('"')


PULLS = {
    "cdr, form": Pull(while1("form"), messages, late=False),
    "cdr, json": Pull(while1("json"), messages, late=False),
    "getcdr": Pull(boxis, result),
    "call_range": Pull(fusionpbx, warning),
}

each_api = pytest.mark.parametrize("pull", PULLS.values(), ids=PULLS)


@each_api
def test_what_another_agent_pulls_is_equal_whatever_is_stored(tmp_path: Path, no_pause: None, pull: Pull) -> None:
    calls = [
        *(call(10 + number, disposition=one) for number, one in enumerate(Disposition)),
        *(call(20 + number, direction=one, userfield="") for number, one in enumerate(Direction)),
        *(call(30 + number, direction=one, userfield="[inbound] x") for number, one in enumerate(Direction)),
        *(call(40 + number, direction=one, userfield="[internal]") for number, one in enumerate(Direction)),
        call(50, extra={"sequence": "7", "amaflags": "DOCUMENTATION", "peeraccount": "p"}),
        call(51, clid='"\u0436 \\ / <x>" <1>', lastapp="Dial", lastdata="a,b&c"),
        *(leg(60 + number, direction=one) for number, one in enumerate(Direction)),
        leg(70, extra={"originating_leg_uuid": leg(71).uniqueid, "mduration": "25000", "waitsec": "3"}),
        leg(80, lastapp="bridge", lastdata="sofia/x\\y\u0436", clid=f"<{call(80).src}>"),
    ]
    calls = [replace(one, accountcode="all") for one in calls]
    store(tmp_path / "outbox.db", calls)
    with ServedApi(tmp_path / "outbox.db") as served:
        source = pull.source(served, ("all",), calls[0].start)
        got = [one for batch in source.read(None, threading.Event(), follow=False) for one in batch.records]
    pulled = {one.uniqueid: one for one in got if isinstance(one, CDR)}
    assert len(pulled) == len(calls)
    for one in calls:
        assert pulled[one.uniqueid] == one


@each_api
def test_what_is_dropped_behind_a_call_that_still_waits_is_said(tmp_path: Path, pull: Pull) -> None:
    path = tmp_path / "outbox.db"
    store(path, [])
    with ServedApi(path) as served, Outbox(path) as outbox:
        assert pull.dropped(served, "") == ""
        store(path, [call(number, accountcode="t1") for number in range(1, 5)])
        outbox.mark("humbug", [Mark(number, "sent", 1.0) for number in (2, 3)])
        assert forget_delivered(Piecemeal(outbox), time.time() + 1) == 2
        for since in ("", "2026-03-14 11:00:00", "2026-03-14 11:00:03"):
            said = pull.dropped(served, since)
            assert "(keep_days = 90)" in said
            # Which of the two times it is an API asks by.
            assert "began up to 2026-03-14 11:00:03" in said or "ended up to 2026-03-14 11:00:27" in said
        assert pull.dropped(served, "2026-03-14 11:00:28") == ""
        outbox.mark("humbug", [Mark(number, "sent", 1.0) for number in (1, 4)])
        forget_delivered(Piecemeal(outbox), time.time() + 1)
        assert "began up to 2026-03-14 11:00:04" in pull.dropped(served, "")


def by_getcdr(served: ServedApi) -> int:
    return len(getcdr(served)["params"]["cdr"])


def by_calls(served: ServedApi) -> int:
    return len(get(served, login(served), "calls", domain_name="t1").json())


@pytest.mark.parametrize("told", [by_getcdr, by_calls])
def test_what_is_dropped_while_an_answer_is_made_hides_nothing_that_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Callable[[ServedApi], int]
) -> None:
    path = tmp_path / "outbox.db"
    store(path, [call(number, accountcode="t1") for number in range(1500)])
    real = Outbox.select

    def select(asked: Outbox, sql: str, *parameters: object) -> list[Any]:
        """Before each look at the calls a hundred of the oldest are dropped."""
        if " calls " in sql:
            with Outbox(path) as outbox, outbox.transaction() as conn:
                choose(conn, "SELECT id FROM calls ORDER BY id LIMIT 100", ())
                mark(conn)
                forget(conn)
        return real(asked, sql, *parameters)

    with ServedApi(path) as served:
        monkeypatch.setattr(Outbox, "select", select)
        assert told(served) == 1400


@pytest.mark.slow
@each_api
def test_the_agents_own_source_gets_each_call_once_while_others_come(
    tmp_path: Path, no_pause: None, pull: Pull
) -> None:
    path = tmp_path / "outbox.db"
    written = [leg(number) if number % 4 in (1, 2) else call(number) for number in range(1, 10_001)]
    store(path, written[:5000])
    got: list[CDR] = []
    with ServedApi(path) as served:
        source = pull.source(served, ("t0", "d1.example", "d2.example", "t3"), written[0].start)
        cursor = None

        def write() -> None:
            with Outbox(path) as outbox:
                for begin in range(5000, 10_000, 50):
                    outbox.accept("made", Batch(written[begin : begin + 50], [], None), ["humbug"])

        writer = threading.Thread(target=write)
        writer.start()
        for _ in range(2):
            for batch in source.read(cursor, threading.Event(), follow=False):
                got += [one for one in batch.records if isinstance(one, CDR)]
                assert not batch.rejects
                cursor = batch.cursor or cursor
            writer.join()
        if pull.late:
            anew = source.again_from(cursor, written[0].start.timestamp())
            for batch in source.read(anew.cursor, threading.Event(), follow=False):
                got += [one for one in batch.records if isinstance(one, CDR)]
    unique = {one.uniqueid: one for one in got}
    assert len(unique) == len(written)
    assert all(unique[one.uniqueid] == one for one in written)
    # What a source tells twice the outbox takes once: by its identity.
    with Outbox(tmp_path / "pulled.db") as pulled:
        assert pulled.accept("a", Batch(got, [], None), []) == len(written)
