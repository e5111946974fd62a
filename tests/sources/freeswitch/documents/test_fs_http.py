"""freeswitch_http: what the modules post, answered when it is on disk and no earlier."""

import base64
import re
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC
from functools import partial
from pathlib import Path
from select import select
from threading import Thread
from xml.etree import ElementTree

import pytest

from humbug_agent.http_server import throttle
from humbug_agent.sources.contract import Source, SourceError
from humbug_agent.sources.freeswitch.http import postbox
from humbug_agent.sources.freeswitch.http import source as endpoint
from humbug_agent.sources.freeswitch.http.source import FreeswitchHttp
from tests.kit.calls import cdrs
from tests.kit.fs_folder import Store, numbered
from tests.kit.fs_modules import ANSWERED, RECORDED, UUID, json_document, left, posted, raw_tree, recorded, xml_document
from tests.kit.fs_posting import Outbox, curl, in_background, settings
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow

PLAIN = "Content-Type: application/x-www-form-plaintext"
FORM = "Content-Type: application/x-www-form-urlencoded"
BASE64 = "Content-Type: application/x-www-form-base64-encoded"
JSON = "Content-Type: application/json"
XML = "Content-Type: text/xml"


@pytest.fixture
def outbox() -> Iterator[Outbox]:
    with Outbox(settings()) as found:
        yield found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postbox, "WAIT_SECONDS", 0.3)


@pytest.mark.parametrize("kind", [FORM, "Content-Type:"])
@pytest.mark.parametrize(
    ("body", "own"),
    [
        (json_document(raw_tree(), values=False), JSON),
        (json_document(raw_tree(), values=True), JSON),
        (posted(json_document(raw_tree(), values=False), "true"), FORM),
        (posted(json_document(raw_tree(), values=True), "base64"), BASE64),
        (posted(recorded(ANSWERED, "xml"), "none"), PLAIN),
        (posted(recorded(ANSWERED, "xml"), "true"), FORM),
        (posted(recorded(ANSWERED, "xml"), "base64"), BASE64),
        (recorded(ANSWERED, "xml"), XML),
    ],
    ids=["json", "json-values", "json-true", "json-base64", "xml-plain", "xml-true", "xml-base64", "textxml"],
)
def test_every_mode_that_can_be_decoded(outbox: Outbox, body: bytes, own: str, kind: str) -> None:
    """disable-100-continue=true replaces the Content-Type."""
    for header in (own, kind):
        assert curl(f"{outbox.url}?uuid=a_{UUID}", body, "-H", header) == 200
    assert [record.uniqueid for record in outbox.records] == [UUID, UUID]
    assert (outbox.records[0].src, outbox.records[0].billsec) == ("1001", 2)


@pytest.mark.parametrize("ending", ["json", "xml"])
def test_every_recording_posted_is_the_call_that_it_is_on_disk(outbox: Outbox, folder: Path, ending: str) -> None:
    recordings = sorted(RECORDED.rglob(f"*.cdr.{ending}"))
    for path in recordings:
        assert outbox.post(path.read_bytes(), f"/?uuid={path.name.partition('.')[0]}") == 200
        shutil.copy(path, folder)
    on_disk = {record.identity: record for record in Store(folder).read().records}
    assert {record.identity: record for record in outbox.records} == on_disk
    assert len(on_disk) == len({path.parent for path in recordings})
    assert outbox.rejects == []


def test_what_can_not_be_understood_is_a_reject_and_answered(outbox: Outbox) -> None:
    broken = posted(json_document(raw_tree(), values=True), "true")
    assert curl(f"{outbox.url}?key=abc?uuid={UUID}", broken, "-H", FORM) == 200
    assert outbox.records == []
    assert outbox.rejects[0].text == broken
    assert "set encode to false" in outbox.rejects[0].reason
    assert outbox.rejects[0].where.endswith(f"uuid={UUID}")
    for body in (b"", b"hello", b"\0\xff" * 1000, b"<!DOCTYPE cdr><cdr/>"):
        assert outbox.post(body, "/?uuid=%0A%22<script>") == 200
    assert len(outbox.rejects) == 5


def test_legs_that_are_not_wanted_are_answered(outbox: Outbox) -> None:
    assert outbox.post(recorded("answered_callee/d8e9e3b8-7457-4212-add4-d8d82bf9afe1")) == 200
    assert (outbox.records, outbox.rejects) == ([], [])


def test_answered_only_when_it_is_on_disk(outbox: Outbox) -> None:
    outbox.free.clear()
    thread, answers = in_background(lambda: curl(outbox.url, recorded(ANSWERED)))
    thread.join(0.5)
    assert (answers, outbox.records) == ([], [])
    outbox.free.set()
    thread.join(10)
    assert answers == [200]
    assert len(outbox.records) == 1


@pytest.mark.usefixtures("impatient")
def test_an_outbox_that_hangs_is_told_and_not_waited_for(outbox: Outbox) -> None:
    outbox.free.clear()
    assert outbox.post(numbered(1)[1]) == 503
    # While the first one waits there is no hope for others: a call's thread must not hang for it.
    began = time.monotonic()
    assert outbox.post(numbered(2)[1]) == 503
    assert time.monotonic() - began < 0.25
    outbox.free.set()
    wait_until(lambda: outbox.numbers == [1])
    wait_until(lambda: outbox.post(numbered(2)[1]) == 200)
    assert outbox.numbers == [1, 2]


@pytest.mark.usefixtures("impatient")
def test_listening_survives_an_outbox_that_fails(outbox: Outbox) -> None:
    outbox.broken.set()
    port = outbox.source.port
    assert outbox.post(numbered(1)[1]) == 503
    assert outbox.post(numbered(2)[1]) == 503
    assert outbox.failures > 1
    outbox.broken.clear()
    wait_until(lambda: outbox.numbers == [1])
    wait_until(lambda: outbox.post(numbered(3)[1]) == 200)
    assert outbox.numbers == [1, 3]
    assert outbox.source.port == port


def test_the_end_answers_what_is_under_way() -> None:
    with Outbox(settings()) as outbox:
        outbox.free.clear()
        thread, answers = in_background(lambda: outbox.post(numbered(1)[1]))
        wait_until(lambda: outbox.source._postbox._unanswered)
        later, later_answers = in_background(lambda: outbox.post(numbered(2)[1]))
        wait_until(lambda: outbox.source._postbox._waiting)
        outbox.stop.set()
        outbox.free.set()
        thread.join(10)
        later.join(10)
        port = outbox.source.port
        outbox.end()
    assert (answers, later_answers, outbox.numbers) == ([200], [200], [1, 2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_the_end_refuses_what_can_not_be_stored() -> None:
    with Outbox(settings()) as outbox:
        outbox.broken.set()
        thread, answers = in_background(lambda: outbox.post(numbered(1)[1]))
        wait_until(lambda: outbox.failures)
        outbox.end()
        thread.join(10)
    assert answers == [503]


def test_a_thousand_posts_side_by_side(outbox: Outbox) -> None:
    documents = [numbered(number)[1] for number in range(1000)]
    began = time.monotonic()
    with ThreadPoolExecutor(200) as pool:
        assert set(pool.map(outbox.post, documents)) == {200}
    print(f"1,000 posts, 200 at a time: {time.monotonic() - began:.1f} s, {outbox.commits} commits")
    assert outbox.numbers == [*range(1000)]
    assert outbox.commits < 500


def test_who_must_have_a_password_does(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "DELAY_SECONDS", 0.05)
    with Outbox(settings(username="cdr", password="sésame:1")) as outbox:
        assert curl(outbox.url, numbered(1)[1], "--user", "cdr:sésame:1") == 200
        assert curl(outbox.url, numbered(2)[1], "--user", "cdr:wrong") == 401
        assert curl(outbox.url, numbered(2)[1]) == 401
        assert outbox.post(numbered(2)[1], headers={"Authorization": "Bearer x"}) == 401
        assert outbox.post(numbered(2)[1], headers={"Authorization": "Basic \xe9\xff"}) == 401
        token = base64.b64encode("cdr:sésame:1".encode()).decode()
        assert outbox.post(numbered(3)[1], headers={"authorization": f"basic {token}"}) == 200
        assert outbox.numbers == [1, 3]
    assert len([record for record in caplog.records if "wrong user or password" in record.message]) == 1
    assert "sésame" not in caplog.text


def test_browsers_and_other_methods_are_turned_away(outbox: Outbox) -> None:
    assert outbox.post(numbered(1)[1], headers={"Origin": "http://evil.example"}) == 403
    assert curl(outbox.url, b"", "-X", "GET") == 405
    assert curl(outbox.url, b"", "-X", "PUT") == 405
    assert (outbox.records, outbox.rejects) == ([], [])


def test_what_is_too_large_is_refused_at_once(outbox: Outbox) -> None:
    with socket.create_connection(("127.0.0.1", outbox.source.port), timeout=10) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4194305\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 413 ")
    with socket.create_connection(("127.0.0.1", outbox.source.port), timeout=10) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(65):
            sock.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 413 ")
    assert outbox.post(numbered(1)[1]) == 200


HALF = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


def test_a_document_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postbox, "BODY_SECONDS", 0.3)
    with Outbox(settings()) as outbox:
        with socket.create_connection(("127.0.0.1", outbox.source.port), timeout=10) as sock:
            sock.sendall(HALF % 9000 + b"{")
            assert sock.recv(100).startswith(b"HTTP/1.1 408 ")
        assert outbox.post(numbered(1)[1]) == 200
        assert outbox.rejects == []


def test_what_has_come_in_part_is_bounded_and_the_longest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    document = numbered(1)[1]
    size = len(document)
    monkeypatch.setattr(postbox, "MOST_ARRIVING_BYTES", 3 * size)
    with ExitStack() as stack:
        outbox = stack.enter_context(Outbox(settings()))
        address = "127.0.0.1", outbox.source.port
        long, short = (stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(2))
        long.sendall(HALF % (2 * size + 9) + document + b" " * size)
        short.sendall(HALF % size + document[:-1])
        wait_until(lambda: outbox.post(numbered(2)[1]) == 200 and select([long], [], [], 0)[0])
        assert long.recv(100).startswith(b"HTTP/1.1 503 ")
        short.sendall(document[-1:])
        assert short.recv(100).startswith(b"HTTP/1.1 200 ")
        assert {1, 2} == {*outbox.numbers}


def test_a_document_passes_beside_hundreds_that_take_their_time(outbox: Outbox) -> None:
    """More of them than may connect, and more bytes than may come in part."""
    beginning = HALF % 1_000_000 + b"x" * 90_000
    address = "127.0.0.1", outbox.source.port
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(450)]
        for sock in slow:
            sock.setblocking(False)
            sock.send(beginning)
        # Those who are refused at once do not go on, either.
        for sock in slow[::3]:
            with suppress(OSError):
                sock.send(b"x" * 9000)
        began = time.monotonic()
        assert outbox.post(numbered(1)[1]) == 200
        assert time.monotonic() - began < postbox.BODY_SECONDS - 1
    assert outbox.numbers == [1]


@pytest.mark.parametrize(
    "said",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}",
    ],
)
def test_what_may_be_read_in_two_ways_is_refused(outbox: Outbox, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", outbox.source.port), timeout=10) as sock:
        sock.sendall(said)
        assert sock.recv(100).startswith(b"HTTP/1.1 400 ")
    assert (outbox.records, outbox.rejects) == ([], [])


def test_a_fault_of_this_program_names_the_source(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(postbox.Postbox, "put", None)
    assert outbox.post(numbered(1)[1]) == 500
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "source posted: a fault of this program: POST '/' failed"
    ]


def test_clients_that_go_away_or_take_their_time_hold_nobody_up(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    document = numbered(1)[1]
    head = b"POST /?uuid=x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(document)
    address = "127.0.0.1", outbox.source.port
    slow = [socket.create_connection(address, timeout=10) for _ in range(50)]
    for sock in slow:
        sock.sendall(head + document[:1000])
    gone = [socket.create_connection(address, timeout=10) for _ in range(20)]
    for number, sock in enumerate(gone):
        sock.sendall(head + document[: len(document) if number % 2 else 5000])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    assert outbox.post(numbered(2)[1]) == 200
    # Who goes away behind a whole document has been understood.
    wait_until(lambda: set(outbox.numbers) == {1, 2})
    before = len(outbox.records)
    for sock in slow[:10]:
        sock.sendall(document[1000:])
        assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
    assert len(outbox.records) == before + 10
    for sock in slow:
        sock.close()
    assert outbox.rejects == []
    assert outbox.post(numbered(3)[1]) == 200
    assert [record.message for record in caplog.records if record.levelname != "INFO"] == []


def test_garbage_on_the_wire_is_no_document(outbox: Outbox) -> None:
    for said in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"\0" * 100_000):
        with socket.create_connection(("127.0.0.1", outbox.source.port), timeout=10) as sock:
            sock.sendall(said)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
    assert outbox.post(numbered(1)[1]) == 200
    assert outbox.rejects == []


def test_what_waits_is_bounded(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postbox, "MOST_WAITING", 3)
    monkeypatch.setattr(endpoint, "MOST", 1)
    outbox.free.clear()
    first = in_background(lambda: outbox.post(numbered(0)[1]))
    wait_until(lambda: outbox.source._postbox._unanswered)
    others = [in_background(partial(outbox.post, numbered(number)[1])) for number in range(1, 10)]
    wait_until(lambda: sum(answers == [503] for _, answers in others) == 6)
    outbox.free.set()
    for thread, _ in (first, *others):
        thread.join(10)
    assert sum(answers == [200] for _, answers in (first, *others)) == 4
    assert len(outbox.numbers) == 4


def test_once_reads_nothing() -> None:
    source: Source = FreeswitchHttp(settings(), UTC)
    assert [*source.read(None, Outbox(settings()).stop, follow=False)] == []
    assert source.unread(None) is None
    assert source.trouble() == ""


def test_parse_takes_one_document() -> None:
    source = FreeswitchHttp(settings(), UTC)
    document = left(xml_document(raw_tree()), "true")
    assert [record.uniqueid for record in cdrs(source.parse(document).records)] == [UUID]
    assert source.parse(b"x!").rejects[0].where == ""


def test_check_prints_what_to_paste(outbox: Outbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
    free = settings(taken, username='a"b', password="sésame", legs="ab")
    said = FreeswitchHttp(free, UTC).check()
    assert said.startswith(f"127.0.0.1:{taken}: free to listen on")
    assert "sésame" not in said
    found = [ElementTree.fromstring(one) for one in re.findall(r"<configuration.*?</configuration>", said, re.DOTALL)]
    assert [one.get("name") for one in found] == ["json_cdr.conf", "xml_cdr.conf"]
    for one in found:
        values = {param.get("name"): param.get("value") for param in one.iter("param")}
        assert values["url"] == f"http://127.0.0.1:{taken}/"
        assert values["cred"] == 'a"b:THE PASSWORD OF agent.ini'
        assert values["log-b-leg"] == "true"
    ours = FreeswitchHttp(settings(outbox.source.port), UTC).check()
    assert "humbug-agent listens there now" in ours
    assert "cred" not in ours


def test_an_address_that_others_have_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        source = FreeswitchHttp(settings(other.getsockname()[1]), UTC)
        other.close()
    with socket.create_server(("127.0.0.1", 0)) as other:
        source = FreeswitchHttp(settings(other.getsockname()[1]), UTC)
        stranger = Thread(target=lambda: other.accept()[0].close())
        stranger.start()
        with pytest.raises(SourceError, match="another program has that port"):
            source.check()
        stranger.join(5)
        with pytest.raises(SourceError, match="another program has that port"):
            next(source.read(None, Outbox(settings()).stop, follow=True))
