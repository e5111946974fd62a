"""What both sources make of servers that answer badly, or not at all: an error in words, nothing lost, no crash."""

import json
import random
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from humbug_agent.cdr import Batch
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.contract import Source, SourceError
from humbug_agent.sources.polling import client, windowed
from tests.kit import boxis_server, fusionpbx_server
from tests.kit.boxis_server import BoxisServer
from tests.kit.calls import cdrs
from tests.kit.fusionpbx_server import FusionpbxServer
from tests.kit.host import wait_until
from tests.kit.pull_server import Asked, Reply, Spoil, as_json
from tests.kit.windowed_sources import boxis, fusionpbx, once

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pause")]


Server = BoxisServer | FusionpbxServer


@dataclass(frozen=True)
class Api:
    """``place`` is the only tenant or domain, ``path`` where its calls are asked for."""

    server: Callable[..., Server]
    source: Callable[..., Source]
    rows: Callable[[Any], list[dict[str, Any]]]
    a_row: Callable[..., dict[str, Any]]
    key: str
    place: str
    path: str
    secrets: tuple[str, ...]

    def spoil(self, server: Server, change: Callable[[Asked, Reply], Reply]) -> None:
        """What it answers when it is asked for calls."""
        server.spoil = lambda asked, reply: change(asked, reply) if asked.path == self.path else reply

    def fill(self, server: Server, count: int = 5) -> set[str]:
        """With calls of the last ten minutes."""
        now = time.time()
        self.rows(server).extend(self.a_row(number, now - 100 - number) for number in range(count))
        return {row[self.key] for row in self.rows(server)}


APIS = {
    "boxis": Api(
        BoxisServer, boxis, lambda server: server.tenants[boxis_server.TENANT], boxis_server.a_row, "uniqueid",
        boxis_server.TENANT, "/", (boxis_server.USER_KEY,),
    ),
    "fusionpbx": Api(
        FusionpbxServer, fusionpbx, lambda server: server.domains[fusionpbx_server.DOMAIN], fusionpbx_server.a_row,
        "xml_cdr_uuid", fusionpbx_server.DOMAIN, "/api/call_range", (fusionpbx_server.PASSWORD,),
    ),
}  # fmt: skip


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> Api:
    return APIS[request.param]


HTML = b"<!DOCTYPE html>\n<html><title>Just a moment...</title></html>"
DEEP = b"[" * 100_000
BAD: dict[str, tuple[Callable[[Asked, Reply], Reply], str]] = {
    "HTML": (lambda _, reply: Reply(HTML), "answered 200 with what is no JSON (<!DOCTYPE html> <html>"),
    "nothing": (lambda _, reply: Reply(b""), "answered 200 with what is no JSON; check url"),
    "no content": (lambda _, reply: Reply(b"", 204), "answered 204 with what is no JSON; check url"),
    "cut": (lambda _, reply: reply.but(cut_at=len(reply.body) // 2), "broke off after"),
    "half": (lambda _, reply: reply.but(body=reply.body[: len(reply.body) // 2]), "with what is no JSON ("),
    "null": (lambda _, reply: reply.but(body=b"null"), "answered"),
    "text": (lambda _, reply: reply.but(body=b'"calls"'), "answered"),
    "number": (lambda _, reply: reply.but(body=b"1e999"), "answered"),
    "object": (lambda _, reply: reply.but(body=b"{}"), "answered"),
    "deep": (lambda _, reply: reply.but(body=DEEP), "with what is no JSON"),
    "500": (lambda _, reply: reply.but(status=500, body=HTML), "answered 500 (<!DOCTYPE html>"),
    "redirect": (lambda _, reply: Reply(b"", 302, {"Location": "/login"}), "answered 302; redirects are not"),
    "404": (lambda _, reply: Reply(b"nobody here", 404), "answered 404; check url"),
    "403": (lambda _, reply: Reply(b'{"message":"No."}', 403), 'answered 403 ({"message":"No."}); check '),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_answer_is_said_moves_nothing_and_is_asked_for_again(api: Api, bad: str) -> None:
    change, said = BAD[bad]
    with api.server() as server:
        source = api.source(server)
        before = once(source)
        ids = api.fill(server)
        api.spoil(server, change)
        came = once(source, before.cursor)
        assert said in str(came.error)
        assert str(came.error).startswith(f"{api.place}: {server.url}")
        assert (came.records, came.rejects, came.cursor) == ([], [], before.cursor)
        server.spoil = None
        came = once(source, came.cursor)
    assert came.error is None
    assert {record.uniqueid for record in came.records} == ids


@pytest.mark.parametrize("spoilt", ["result", "params", "cdr", "unsaid"])
def test_an_answer_of_boxis_without_its_parts_is_not_an_empty_one(spoilt: str) -> None:
    def change(_: Asked, reply: Reply) -> Reply:
        found = json.loads(reply.body)
        if spoilt == "cdr":
            found["params"]["cdr"] = None
        elif spoilt == "unsaid":
            found = {"result": "0"}
        else:
            del found[spoilt]
        return as_json(found)

    with BoxisServer() as server:
        server.spoil = change
        came = once(boxis(server))
    assert "answered" in str(came.error)
    assert came.marks()["reached"][boxis_server.TENANT]["latest"] == 0


def test_an_envelope_of_fusionpbx_is_an_error_whatever_its_status() -> None:
    with FusionpbxServer() as server:
        APIS["fusionpbx"].spoil(server, lambda *_: as_json({"message": "No such table.", "success": False, "data": ""}))
        came = once(fusionpbx(server))
    assert "answered no list of calls: No such table.; check url and domains" in str(came.error)


def test_a_server_that_repeats_itself_brings_each_call_once(api: Api) -> None:
    """Whatever window it is asked for."""
    with api.server() as server:
        ids = api.fill(server)
        replies: list[Reply] = []

        def same(_: Asked, reply: Reply) -> Reply:
            replies.append(reply)
            return max(replies, key=lambda one: len(one.body))

        api.spoil(server, same)
        source = api.source(server)
        came = once(source)
        came = once(source, came.cursor)
        again = once(source, came.cursor)
    assert (came.error, again.error, again.records) == (None, None, [])
    with api.server() as server:
        rows = api.rows(server)
        rows += [api.a_row(number, time.time() - 100) for number in range(3)] * 3
        assert len(once(api.source(server)).records) == 3 < len(ids) * 3


def test_a_host_that_is_gone_is_said_once_and_not_for_each_place(api: Api) -> None:
    with api.server() as server:
        url = server.url
    places = {"tenants" if api.place.startswith("VOICE") else "domains": ("a", "b", "c")}
    came = once(api.source(server, **places))
    assert str(came.error).startswith(url)
    assert str(came.error).endswith("Connection refused")


def test_a_server_that_wants_a_long_rest_gets_it(api: Api) -> None:
    with api.server() as server:
        server.spoil = lambda *_: Reply(b"", 429, {"Retry-After": "1800"})
        came = once(api.source(server))
        assert len(server.asked) == 1
    assert came.wait() == 1800
    assert "answered 429, too many requests; asks to wait 1800 s" in str(came.error)


def test_a_server_that_wants_a_short_rest_gets_it(api: Api) -> None:
    with api.server() as server:
        ids = api.fill(server)
        first: list[int] = []

        def busy(asked: Asked, reply: Reply) -> Reply:
            first.append(asked.number)
            return Reply(b"", 429, {"Retry-After": "1"}) if len(first) == 1 else reply

        api.spoil(server, busy)
        began = time.monotonic()
        came = once(api.source(server))
    assert came.error is None
    assert time.monotonic() - began >= 1
    assert {record.uniqueid for record in came.records} == ids


def dated(date: str) -> Spoil:
    """An answer's Date is this one."""
    return lambda _, reply: reply.but(headers={**reply.headers, "Date": date})


def test_clocks_that_are_days_apart_are_an_error_and_undo_nothing(api: Api) -> None:
    with api.server() as server:
        ids = api.fill(server)
        source = api.source(server)
        before = once(source)
        for date in ("Wed, 21 Oct 2099 07:28:00 GMT", "Thu, 01 Jan 2026 07:28:00 GMT"):
            api.spoil(server, dated(date))
            if isinstance(server, BoxisServer):
                # It tells its time in the answer, too.
                server.ahead = 100 * 86400
            came = once(source, before.cursor)
            assert "the server's clock is at " in str(came.error)
            assert came.cursor == before.cursor
        server.spoil = None
        if isinstance(server, BoxisServer):
            server.ahead = 0
        # What is no time at all is none of a clock's.
        for date in ("Thu, 01 Jan 1970 00:00:00 GMT", "today"):
            api.spoil(server, dated(date))
            came = once(source, came.cursor)
            assert came.error is None
    assert {record.uniqueid for record in before.records} == ids
    reached = came.marks()["reached"][api.place]
    assert abs(reached["upto"] - time.time()) < 60


# Too much at once.


def test_a_window_with_too_many_rows_is_halved(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon comes back for less, in words; who runs but once asks for less at once."""
    monkeypatch.setattr(client, "LONGEST_ANSWER", 100_000)
    now = time.time()
    with api.server() as server:
        api.rows(server).extend(api.a_row(number, now - 10_000 - 20 * number) for number in range(1000))
        ids = {row[api.key] for row in api.rows(server)}
        came = once(api.source(server))
        assert came.error is None
        assert {record.uniqueid for record in came.records} == ids
        source, cursor, stop = api.source(server), None, threading.Event()
        got: set[str] = set()
        errors: list[str] = []
        while len(got) < 1000 and len(errors) < 20:
            try:
                for batch in source.read(cursor, stop, follow=True):
                    got |= {record.uniqueid for record in cdrs(batch.records)}
                    cursor = batch.cursor or cursor
                    if len(got) == 1000:
                        stop.set()
            except SourceError as error:
                errors.append(str(error))
    assert got == ids
    assert errors
    assert all("answered more than 0 MB" in error for error in errors)


def seconds(moment: str | float) -> float:
    """Since the epoch."""
    return time.mktime(time.strptime(moment, "%Y-%m-%d %H:%M:%S")) if isinstance(moment, str) else moment


def test_a_server_that_is_slow_for_much_is_asked_for_less(api: Api) -> None:
    """It never answers when it is asked for more than some three hours."""
    with api.server() as server:
        ids = api.fill(server)

        def slow(_: Asked, reply: Reply) -> Reply:
            first, last = map(seconds, server.windows[-1][1:])
            return reply.but(hang=True) if min(last, time.time()) - first > 12_000 else reply

        api.spoil(server, slow)
        zone = {"timezone": boxis_server.ZONE} if api.path == "/" else {}
        came = once(api.source(server, timeout=1, **zone))
    assert came.error is None
    assert {record.uniqueid for record in came.records} == ids


# Stopping.


@pytest.mark.alone
@pytest.mark.parametrize("when", ["asking", "waiting", "resting"])
def test_it_stops_within_a_second(api: Api, when: str) -> None:
    with api.server() as server:
        if when == "asking":
            api.spoil(server, lambda _, reply: reply.but(hang=True))
        elif when == "waiting":
            api.spoil(server, lambda *_: Reply(b"", 429, {"Retry-After": "60"}))
        stop = threading.Event()
        source = api.source(server, poll_seconds=60)
        reading = threading.Thread(target=lambda: list(source.read(None, stop, follow=True)))
        reading.start()
        wait_until(lambda: sum(asked.path == api.path for asked in server.asked) >= (1 if when != "resting" else 5))
        began = time.monotonic()
        stop.set()
        reading.join(10)
        assert time.monotonic() - began < 1.5
        assert not reading.is_alive()


# Secrets, TLS, a proxy.


def test_no_secret_is_in_what_is_said(api: Api) -> None:
    """Even where the server repeats everything that it was sent."""

    def echo(asked: Asked, reply: Reply) -> Reply:
        said = f"{asked.target} {asked.headers} {asked.body.decode()} {reply.body.decode()}"
        return random.choice([Reply(said.encode(), 500), as_json({"result": "0", "resulttxt": said, "message": said})])

    def later(_: Asked, reply: Reply) -> Reply:
        """From the next request for calls on."""
        api.spoil(server, echo)
        return reply

    with api.server() as server:
        source, cursor = api.source(server), None
        for turn in range(20):
            server.spoil = echo if turn % 2 else later
            came = once(source, cursor)
            cursor = came.cursor
            said = str(came.error)
            secrets = {*api.secrets, *getattr(server, "tokens", []), *(asked.form.get("authcode", "") for asked in
                                                                     server.asked if api.path == "/")}  # fmt: skip
            assert not [secret for secret in secrets if secret and secret in said], said


@pytest.mark.parametrize("proxied", [False, True])
def test_tls_is_checked_with_an_own_authority_and_over_a_proxy(
    api: Api, proxied: bool, server_tls: Callable[..., ssl.SSLContext], ca_file: Path
) -> None:
    if proxied:
        with api.server() as server:
            ids = api.fill(server)
            came = once(
                api.source(server, url="http://pbx.example.org/", proxy=f"http://u:p4ssw0rd@127.0.0.1:{server.port}")
            )
            assert {record.uniqueid for record in came.records} == ids
            assert server.asked[0].target.startswith("http://pbx.example.org/")
        came = once(
            api.source(server, url="http://pbx.example.org/", proxy=f"http://u:p4ssw0rd@127.0.0.1:{server.port}")
        )
        assert "proxy: Connection refused" in str(came.error)
        assert "p4ssw0rd" not in str(came.error)
        return
    with api.server(tls=server_tls()) as server:
        ids = api.fill(server)
        assert {record.uniqueid for record in once(api.source(server, ca_file=ca_file)).records} == ids
        asked = len(server.asked)
        assert "check the certificate, or ca_file" in str(once(api.source(server)).error)
        assert len(server.asked) == asked


# Anything at all.

JUNK: list[Any] = [
    None, True, False, "", "x", "0", 0, -1, 1e308, float("nan"), float("inf"), 10**400, [], {}, [[]], [None], {"": ""},
    "\0", "\ud800", "Zoë", "9" * 5000, "2026-13-45 99:99:99", "0000-00-00 00:00:00", {"a": {"b": ["c"]}}, [1, [2, [3]]],
]  # fmt: skip


def mutated(found: Any, chance: random.Random) -> Any:
    """Somewhere something else than before."""
    if isinstance(found, dict) and found and chance.random() < 0.9:
        name = chance.choice(list(found))
        changed = dict(found)
        if chance.random() < 0.15:
            del changed[name]
        else:
            changed[name] = mutated(found[name], chance)
        return changed
    if isinstance(found, list) and found and chance.random() < 0.9:
        place = chance.randrange(len(found))
        return [*found[:place], mutated(found[place], chance), *found[place + 1 :]]
    return chance.choice(JUNK)


def spoilt(body: bytes, chance: random.Random) -> bytes:
    kind = chance.randrange(8)
    if kind < 5:
        found = json.loads(body)
        for _ in range(chance.randrange(1, 4)):
            found = mutated(found, chance)
        return json.dumps(found).encode()
    place = chance.randrange(len(body) or 1)
    if kind == 5:
        return body[:place]
    junk = chance.choice([b"\xff\xfe", b"\x00", b"\xe4\xf6", b"\\ud800", b"[" * 2000, b"}", b'"', b"NaN", b"1" * 9000])
    return body[:place] + junk + body[place:]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_server_answers_it_is_an_error_or_calls_and_never_the_end(
    api: Api, seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    errors = 0
    with api.server() as server, Outbox(tmp_path / "outbox.db") as outbox:
        source = api.source(server)
        cursor = once(source).cursor
        ids = api.fill(server)
        for turn in range(60):
            server.spoil = lambda asked, reply: reply.but(body=spoilt(reply.body, chance))
            if turn % 10 == 0:
                source, cursor = api.source(server), cursor if turn % 20 else None
            came = once(source, cursor)
            errors += came.error is not None
            cursor = came.cursor
            # What came can be kept: text that is no text would not be.
            outbox.accept("pbx", Batch(came.records, came.rejects, cursor), ["humbug"])
            assert came.error is None or "\n" not in str(came.error)
            for reject in came.rejects:
                assert source.parse(reject.text).rejects
        server.spoil = None
        came = once(api.source(server), cursor)
        outbox.accept("pbx", Batch(came.records, came.rejects, came.cursor), ["humbug"])
        known = {row["uniqueid"] for row in outbox.select("SELECT uniqueid FROM calls")}
    assert came.error is None
    assert errors > 10
    assert ids <= known


def test_a_long_answer_is_handed_over_in_pieces_and_the_cursor_with_the_last(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windowed, "MOST", 10)
    now = time.time()
    with api.server() as server:
        api.rows(server).extend(api.a_row(number, now - 50 - number) for number in range(35))
        batches = [batch for batch in api.source(server).read(None, threading.Event(), follow=False) if batch.records]
    assert [len(batch.records) for batch in batches] == [10, 10, 10, 5]
    assert [batch.cursor is None for batch in batches] == [True, True, True, False]
