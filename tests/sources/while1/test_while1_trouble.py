"""What /api/cdr may answer instead of calls: a clear error, nothing lost, and recovery by itself."""

import json
import random
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from humbug_agent.sources.contract import SourceError
from tests.kit.host import Host, wait_until
from tests.kit.pull_server import Asked, Reply, as_json
from tests.kit.while1_agent import Reader, a_source, configure
from tests.kit.while1_server import KEY, TOKEN, While1Server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pause")]

FUZZED = 250


def changed(**values: Any) -> Callable[[Asked, Reply], Reply]:
    return lambda _, reply: as_json(json.loads(reply.body) | values)


def error(*messages: str, status: int = 200) -> Callable[[Asked, Reply], Reply]:
    found = {"has_error": True, "messages": messages, "pagination": [], "results": []}
    return lambda *_: as_json(found, status)


def no_id(_: Asked, reply: Reply) -> Reply:
    found = json.loads(reply.body)
    for row in found["results"]:
        del row["id"]
    return as_json(found)


def first_page_again(server: While1Server) -> Callable[[Asked, Reply], Reply]:
    """A page that repeats itself."""
    first: list[Reply] = []

    def spoil(_: Asked, reply: Reply) -> Reply:
        first.append(reply)
        return first[0]

    return spoil


BAD: dict[str, tuple[Callable[[Asked, Reply], Reply], str]] = {
    "HTML": (lambda *_: Reply(b"<html>Log in"), "answered 200 with what is no JSON (<html>Log in); check url"),
    "truncated": (lambda _, reply: reply.but(body=reply.body[:200]), "answered 200 with what is no JSON"),
    "broken off": (lambda _, reply: reply.but(cut_at=300), "the answer broke off after"),
    "null": (lambda *_: as_json(None), "answered with JSON that is no object; check url"),
    "a list": (lambda *_: as_json([]), "answered with JSON that is no object; check url"),
    "no results": (lambda *_: as_json({}), "answered with no list of results; check url"),
    "results: text": (changed(results="none"), "answered with no list of results; check url"),
    "results: null": (changed(results=None), "answered with no list of results; check url"),
    "pagination: text": (changed(pagination="all"), "answered with a pagination that is none"),
    "pagination: rubbish": (changed(pagination={"max_page": "-1"}), "max_page '-1' is not a whole number"),
    "has_error: rubbish": (changed(has_error="perhaps"), "has_error that is neither true nor false"),
    "has_error": (error("Invalid filter: from_idxx", "and so on"), "there is an error: Invalid filter: from_idxx; and"),
    "has_error, 500": (error("Database is away", status=500), "says there is an error: Database is away"),
    "has_error, mute": (error(), "says there is an error: it does not say which"),
    "has_error, 1": (changed(has_error=1, messages="one text"), "says there is an error: one text"),
    "401": (lambda *_: Reply(b"", 401), "answered 401; check token and api_key"),
    "404": (lambda *_: Reply(b"<h1>Not found</h1>", 404), "answered 404; check url"),
    "500": (lambda *_: Reply(b"Whoops", 500), "answered 500 (Whoops)"),
    "redirect": (lambda *_: Reply(b"", 302, {"Location": "/login"}), "redirects are not followed, check url"),
    "429": (lambda *_: Reply(b"", 429, {"Retry-After": "300"}), "too many requests; asks to wait 300 s"),
    "deep": (lambda *_: Reply(b'{"results":' + b"[" * 5000 + b"]" * 5000 + b"}"), "what is no JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_answer_is_a_clear_error_that_moves_no_cursor_and_loses_nothing(name: str) -> None:
    spoil, said = BAD[name]
    with While1Server() as server:
        server.spread(250, time.time() - 7200, time.time())
        source, reader = a_source(server), Reader()
        reader.once(source)
        server.add(250)
        before, count = reader.cursor, len(reader.calls)
        server.spoil = spoil
        with pytest.raises(SourceError) as caught:
            reader.once(source)
        assert str(caught.value).startswith(f"{server.url}: ")
        assert said in str(caught.value)
        assert (reader.cursor, len(reader.calls)) == (before, count)
        with pytest.raises(SourceError):
            source.check()
        server.spoil = None
        assert reader.once(source).ids == [*range(1, 501)]
        assert reader.rejects == []


def test_a_page_that_repeats_itself_is_an_error_and_nothing_is_lost() -> None:
    with While1Server() as server:
        server.spread(20, time.time() - 60, time.time())
        source, reader = a_source(server), Reader()
        before = reader.once(source).cursor
        server.add(480)
        server.spoil = first_page_again(server)
        with pytest.raises(
            SourceError, match="repeats itself: page 2 of 5 has only calls that stood on the pages before"
        ):
            reader.once(source)
        assert reader.cursor == before
        server.spoil = None
        assert reader.once(source).ids == [*range(1, 501)]


def test_a_bulk_of_rows_that_moves_a_whole_page_is_no_repetition() -> None:
    with While1Server() as server:
        server.descending = True
        server.spread(20, time.time() - 60, time.time())
        source, reader = a_source(server), Reader()
        reader.once(source)
        server.add(350)
        asked = len(server.asked)
        server.before = lambda _: server.add(100) if len(server.asked) == asked + 2 else None
        reader.once(source)
        assert reader.once(source).ids == [*range(1, 471)]


def test_rows_without_an_id_are_rejects_and_the_others_pass() -> None:
    with While1Server() as server:
        server.spread(30, time.time() - 60, time.time())
        del server.rows[10]["id"]
        server.rows[10]["id"] = "11"
        source, reader = a_source(server), Reader()
        server.spoil = no_id
        reader.once(source)
        assert (reader.calls, set(reader.rejects), len(reader.rejects)) == ([], {"has no id"}, 30)
        server.spoil = None
        reader.once(source)
        assert reader.ids == [*range(1, 31)]


def test_a_server_that_gives_no_id_on_full_pages_for_ever_is_not_asked_for_ever() -> None:
    with While1Server() as server:
        server.spread(300, time.time() - 60, time.time())
        server.repeats_last = True
        server.spoil = no_id
        reader = Reader().once(a_source(server))
        assert len(reader.rejects) == 300
        assert len(server.asked) < 10


def test_each_bad_row_is_a_reject_once() -> None:
    with While1Server() as server:
        server.spread(30, time.time() - 60, time.time())
        server.rows[3]["call_status"] = "GONE"
        server.rows[5]["duration"] = ["?"]
        # The one that is no row at all is in no filter's way: it comes with every answer.
        server.spoil = lambda _, reply: changed(results=[*json.loads(reply.body)["results"], 5])(_, reply)
        source, reader = a_source(server), Reader()
        for _ in range(3):
            reader.once(source)
        assert len(reader.calls) == 28
        assert set(reader.rejects) == {
            "call_status 'GONE' is not known",
            "duration is a list, not text",
            "is no row but a text",
        }
        assert len(reader.rejects) == 3


def test_a_window_that_is_too_much_is_asked_for_in_parts() -> None:
    now = time.time()
    with While1Server() as server:
        server.spread(600, now - 3 * 86400, now)

        def heavy(asked: Asked, reply: Reply) -> Reply:
            return Reply(b"", 504) if int(json.loads(reply.body)["pagination"]["row_count"]) > 80 else reply

        server.spoil = heavy
        source = a_source(server, since=datetime.fromtimestamp(now - 3 * 86400 - 600, UTC))
        reader = Reader().once(source)
        assert reader.ids == [*range(1, 601)]
        server.spoil = lambda *_: Reply(b"", 504)
        with pytest.raises(SourceError, match="answered 504: it takes too long"):
            reader.once(a_source(server))


@pytest.mark.alone
def test_a_stop_is_noticed_in_the_midst_of_paging() -> None:
    stop = threading.Event()
    with While1Server() as server:
        server.spread(2000, time.time() - 60, time.time())
        reading = a_source(server).read(None, stop, follow=True)
        for batch in reading:
            if batch.records:
                stop.set()
                began = time.monotonic()
        assert time.monotonic() - began < 1
        assert len(server.asked) < 6


@pytest.mark.parametrize("form", ["form", "json"])
def test_no_secret_is_in_an_error_whatever_the_server_echoes(form: str, caplog: pytest.LogCaptureFixture) -> None:
    with While1Server() as server:
        server.add(3)

        def echo(asked: Asked, _: Reply) -> Reply:
            said = f"{asked.headers} {asked.body.decode()} {KEY} {asked.body!r}"
            kind = asked.number % 4
            if kind == 0:
                return as_json({"has_error": True, "messages": [said], "results": []})
            return Reply(said.encode(), (500, 401, 200)[kind - 1])

        server.spoil = echo
        for _ in range(4):
            with pytest.raises(SourceError) as caught:
                Reader().once(a_source(server, form=form))
            said = str(caught.value) + caplog.text
            assert "***" in said
            assert TOKEN not in said
            assert KEY not in said
            asked_hash = server.asked[-1].body.decode().rpartition("api_hash")[2].strip('=": }')
            assert len(asked_hash) == 32
            assert asked_hash not in said


def test_tls_and_a_proxy(server_tls: Callable[..., ssl.SSLContext], ca_file: Path) -> None:
    with While1Server(tls=server_tls()) as server:
        server.add(3)
        assert Reader().once(a_source(server, ca_file=ca_file)).ids == [1, 2, 3]
        with pytest.raises(SourceError, match="check the certificate, or ca_file"):
            a_source(server).check()
    with While1Server() as proxy:
        proxy.add(3)
        url, proxy.url = proxy.url, "http://pbx.invalid/api/cdr"
        source = a_source(proxy, proxy=url.removesuffix("/api/cdr"))
        assert Reader().once(source).ids == [1, 2, 3]
        assert proxy.asked[0].target == "http://pbx.invalid/api/cdr"


def test_status_says_what_is_wrong_and_that_it_is_over(host: Host) -> None:
    with While1Server() as server:
        server.add(150)
        server.spoil = BAD["has_error"][0]
        configure(host, server, "poll_seconds = 1")
        with host.daemon() as daemon:
            try:
                wait_until(lambda: host.status()["sources"]["pbx"]["state"] == "failing", 20)
                found = host.status()["sources"]["pbx"]
                assert found["message"].endswith("says there is an error: Invalid filter: from_idxx; and so on")
                server.spoil = None
                wait_until(lambda: host.store.count() == 150, 20)
                found = host.status()["sources"]["pbx"]
                assert (found["state"], found["message"], found["calls"]) == ("ok", "", 150)
            finally:
                daemon.terminate()
                said = daemon.stderr.read().decode() if daemon.stderr else ""
    assert daemon.returncode == 0
    assert not any(secret in said for secret in (TOKEN, KEY))
    assert "source pbx: reading again" in said


# Answers that nobody thought of.

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, 2**53, "", "x", "-5", "0000-00-00 00:00:00", "9999-12-31 23:59:59",
    "2024-13-01 00:00:00", "99:99:99", "\0", "\ud800", "é", [], {}, [[]], [1, "2"], {"a": {"b": [None]}}, "x" * 5000,
    float("nan"), float("inf"), "1", "100", "ANSWERED", "IN",
)  # fmt: skip


def places(found: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    return [at, *(place for key, value in items for place in places(value, (*at, key)))]


def mutated(rng: random.Random, found: Any) -> Any:
    """With one thing changed, gone, doubled or nested."""
    *path, last = rng.choice(places(found)[1:])
    place = found
    for key in path:
        place = place[key]
    deed = rng.choice(("change", "change", "drop", "double", "nest", "rename"))
    if deed == "drop":
        del place[last]
    elif deed == "nest":
        for _ in range(rng.choice((1, 5, 200))):
            place[last] = [place[last]] if rng.random() < 0.5 else {"x": place[last]}
    elif isinstance(place, list) and deed == "double":
        place.append(place[last])
    elif isinstance(place, dict) and deed == "rename":
        place[last + "\ud800"] = place.pop(last)
    else:
        place[last] = rng.choice(ODD)
    return found


def fuzzed(rng: random.Random, reply: Reply) -> Reply:
    body = reply.body
    if rng.random() < 0.7:
        found = json.loads(body)
        for _ in range(rng.randrange(1, 6)):
            if len(places(found)) > 1:
                found = mutated(rng, found)
        body = json.dumps(found).encode()
    else:
        piece = rng.choice((b"\0", b"\xe9", b"\xff\xfe", b'"', b"{", b"}", b"\\", b"\\ud800", b"1e999", b"\n"))
        at = rng.randrange(len(body))
        body = body[:at] + piece + body[at + rng.choice((0, 1, 30)) :]
    return reply.but(body=body, status=rng.choice((200,) * 8 + (201, 400, 500)))


def test_no_answer_that_is_changed_at_random_crashes_it_or_loses_a_call() -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    rng = random.Random(seed)
    errors: set[str] = set()
    with While1Server() as server:
        server.page_size = 4
        server.spread(10, time.time() - 3600, time.time())
        source, reader = a_source(server), Reader()
        reader.once(source)
        server.spoil = lambda _, reply: fuzzed(rng, reply) if rng.random() < 0.6 else reply
        for _ in range(FUZZED):
            server.add(rng.choice((0, 0, 1, 3)))
            before = reader.cursor
            try:
                for batch in reader.steps(source):
                    assert all(str(call.identity) for call in batch.records)
            except SourceError as caught:
                errors.add(str(caught).partition(" (")[0])
            assert source.unread(reader.cursor) >= 0
            assert before
        server.spoil = None
        reader.once(source)
        reader.once(source)
        right = {call.uniqueid: call for call in a_reader_of_all(server).calls}
        got = {call.identity: call for call in reader.calls}
        assert {call.identity for call in right.values()} <= got.keys()
    # Chance makes some ten to twenty kinds of them.
    assert len(errors) > 5
    assert all(one.startswith(f"{server.url}: ") for one in errors)


def a_reader_of_all(server: While1Server) -> Reader:
    return Reader().once(a_source(server))
