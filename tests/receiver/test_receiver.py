"""The embedded receiver: over real sockets, into real SQLite files."""

import http.client
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
import requests
import trustme

from humbug_agent import receiver
from humbug_agent.receiver import Background, Misbehaviour, Receiver, ReceiverError, Store, app
from humbug_agent.receiver.store.contract import arrived
from tests.kit.forms import API_KEY, CALL, EVENT_TIME, FIELDS, FORM, VECTOR, encode, hexed, misbehaving, plain, post

pytestmark = pytest.mark.slow


# Over HTTP
def test_both_forms_are_stored_as_they_were_sent(running: Background, store: Store) -> None:
    for form in ("plain", "encoded"):
        answer = post(running.url, VECTOR["expected"][form].encode(), **{"Idempotency-Key": form})
        assert (answer.status_code, answer.json()) == (200, {"stored": True})
    first, second = store.rows()
    assert (first["key"], second["key"]) == ("plain", "encoded")
    for row in (first, second):
        assert {name: row[name] for name in FIELDS} == FIELDS
        assert row["event_time"] == EVENT_TIME
        assert row["Description"] is None
        assert row["received"].endswith("+00:00")
        assert row["repeats"] == 0
        assert not {"gateway", "encoded"} & set(row)


def test_a_repeat_is_counted_and_stored_once(running: Background, store: Store) -> None:
    sent = [plain(), VECTOR["expected"]["encoded"].encode(), plain(event_time="2011-01-25 13:41:49")]
    assert [post(running.url, body).json() for body in sent] == [{"stored": True}, {"stored": False}, {"stored": False}]
    assert post(running.url, plain(Source="1")).json() == {"stored": True}
    assert (store.count(), store.repeats()) == (2, 2)
    assert [row["repeats"] for row in store.rows()] == [2, 0]


def test_equal_calls_with_keys_of_their_own_are_two(running: Background, store: Store) -> None:
    stored = [post(running.url, plain(), **{"Idempotency-Key": key}).json()["stored"] for key in ("a", "b", "a")]
    assert stored == [True, True, False]
    assert (store.count(), store.repeats()) == (2, 1)


def test_what_is_no_call_is_kept_beside_the_calls(running: Background, store: Store) -> None:
    said = {"gateway": API_KEY, "encoded": "0", "Event": "Shutdown", "Shutdown": "Cleanly", "Restart": "True"}
    body = urlencode(said | {"event_time": EVENT_TIME}).encode()
    assert [post(running.url, body).json() for _ in range(2)] == [{"stored": True}, {"stored": False}]
    alarm = encode({"Event": "Alarm", "Alarm": "Red Alarm", "DAHDIChannel": "1"})
    assert post(running.url, alarm, **{"Idempotency-Key": "a"}).json() == {"stored": True}
    assert post(running.url, urlencode(said).encode()).json() == {"faults": ["event_time is missing"]}
    assert store.count() == 0
    assert [(event["Event"], event["event_time"], event["fields"]) for event in store.events()] == [
        ("Shutdown", EVENT_TIME, {"Shutdown": "Cleanly", "Restart": "True"}),
        ("Alarm", EVENT_TIME, {"Alarm": "Red Alarm", "DAHDIChannel": "1"}),
    ]


@pytest.mark.parametrize("body", [plain(gateway="guess"), plain(gateway=""), encode(FIELDS, gateway="guess")])
def test_wrong_api_key(running: Background, body: bytes) -> None:
    answer = post(running.url, body)
    assert (answer.status_code, answer.json()) == (401, {"error": "the API key is not the one configured here"})
    assert API_KEY not in answer.text
    assert running.receiver.store.number() == 0


def test_wrong_encryption_key(running: Background) -> None:
    answer = post(running.url, encode(FIELDS, key="guess"))
    assert (answer.status_code, answer.json()) == (401, {"error": "the encryption key is not the one configured here"})


def test_a_crafted_call_does_not_draw_the_key_out(store: Store) -> None:
    """Zeros for data XOR to the key itself; the start of it has to be known, though."""
    key = "7c9e6679f81e4b2d8a03c5d1e2b64f90&=1b7a5c3e" * 2
    known = hexed(f"gateway={API_KEY}&encoded=1&", key)
    with Background(Receiver(store, API_KEY, key)) as background:
        answer = post(background.url, f"gateway={API_KEY}&encoded=1&data={known}{'00' * 100}".encode())
    assert answer.status_code == 400
    assert not any(key[start : start + 4] in answer.text for start in range(len(key) - 3))


def test_any_key_is_good_where_none_is_configured(store: Store) -> None:
    with Background(Receiver(store)) as background:
        assert post(background.url, plain(gateway="whatever")).status_code == 200


def test_get_counts_and_other_methods_are_refused(running: Background) -> None:
    post(running.url, plain())
    post(running.url, plain())
    assert requests.get(running.url, timeout=20).json() == {"calls": 1, "repeats": 1}
    for method in ("HEAD", "PUT", "DELETE", "OPTIONS"):
        answer = requests.request(method, running.url, timeout=20)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/x-www-form-urlencoded", 200),
        ("Application/X-WWW-Form-URLencoded ; charset=UTF-8", 200),
        ("application/json", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
def test_content_type(running: Background, content_type: str, status: int) -> None:
    assert post(running.url, plain(), **{"Content-Type": content_type}).status_code == status


def test_content_type_may_be_absent_and_the_path_any(running: Background) -> None:
    with closing(connect(running.url)) as connection:
        connection.request("POST", "/", plain())
        assert connection.getresponse().status == 200


def connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)


def test_one_connection_serves_many_requests(running: Background, store: Store) -> None:
    with closing(connect(running.url)) as connection:
        sockets = set()
        for number in range(20):
            connection.request("POST", "/receiver.php", encode({**FIELDS, "UniqueID": str(number)}), FORM)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b'{"stored": true}')
            sockets.add(connection.sock)
        connection.request("POST", "/receiver.php", b"nonsense", FORM)
        assert connection.getresponse().read() == b'{"faults": ["encoded is missing"]}'
        assert sockets == {connection.sock}
    assert [row["UniqueID"] for row in store.rows()] == [str(number) for number in range(20)]


def test_too_large_a_request(running: Background) -> None:
    limit = receiver.MOST_BYTES
    good = plain(LastData="")
    assert post(running.url, good.replace(b"LastData=", b"LastData=" + b"x" * (limit - len(good)))).status_code == 200
    assert post(running.url, bytes(limit + 1)).status_code == 413
    assert post(running.url, bytes(8 * limit)).status_code == 413


def test_a_request_that_does_not_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "BODY_SECONDS", 0.05)
    with Background(Receiver(store)) as running:
        _check_408(running)


def _check_408(running: Background) -> None:
    parts = urlsplit(running.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nenc")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_half_a_request_stores_nothing(running: Background, store: Store) -> None:
    parts = urlsplit(running.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n" + plain())
    assert post(running.url, plain(Source="1")).json() == {"stored": True}
    assert [row["Source"] for row in store.rows()] == ["1"]


def test_a_store_that_fails_is_a_503(running: Background, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("ALTER TABLE pbxs RENAME TO elsewhere")
        for answer in (post(running.url, plain()), requests.get(running.url, timeout=20)):
            assert (answer.status_code, answer.json()) == (503, {"error": "the store can't be used now"})
        assert "no such table: pbxs" in caplog.text
        other.execute("ALTER TABLE elsewhere RENAME TO pbxs")
    assert post(running.url, plain()).json() == {"stored": True}


# Misbehaviour


def test_every_third_post_is_refused_and_not_stored(store: Store) -> None:
    with misbehaving(store, Misbehaviour(status=503, every=3, retry_after="7")) as url:
        answers = [post(url, plain(UniqueID=str(number))) for number in range(1, 8)]
    assert [answer.status_code for answer in answers] == [200, 200, 503, 200, 200, 503, 200]
    assert [answer.headers.get("retry-after") for answer in answers] == [None, None, "7", None, None, "7", None]
    assert [row["UniqueID"] for row in store.rows()] == ["1", "2", "4", "5", "7"]


def test_redirect(store: Store) -> None:
    with misbehaving(store, Misbehaviour(status=302, location="/elsewhere")) as url:
        answer = post(url, plain())
        assert (answer.status_code, answer.headers["location"], answer.content) == (302, "/elsewhere", b"")
    assert store.count() == 0


def test_it_can_be_mended_while_it_runs(running: Background) -> None:
    running.receiver.misbehaviour = Misbehaviour(status=500)
    assert post(running.url, plain()).status_code == 500
    running.receiver.misbehaviour = Misbehaviour()
    assert post(running.url, plain()).status_code == 200


def test_a_large_answer_is_streamed(store: Store) -> None:
    size = 200_000_001
    with misbehaving(store, Misbehaviour(status=500, body_bytes=size)) as url, closing(connect(url)) as connection:
        connection.request("POST", "/", plain(), FORM)
        answer = connection.getresponse()
        assert answer.getheader("content-length") == str(size)
        buffer = bytearray(1 << 20)
        tracemalloc.start()
        try:
            assert sum(iter(lambda: answer.readinto(buffer), 0)) == size
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()


def test_leaving_with_an_answer_half_read(store: Store) -> None:
    with (
        misbehaving(store, Misbehaviour(status=500, body_bytes=50_000_000)) as url,
        closing(connect(url)) as connection,
    ):
        connection.request("POST", "/", plain(), FORM)
        assert connection.getresponse().read(10) == bytes(10)


def test_a_delay_holds_nobody_else_up(store: Store) -> None:
    with misbehaving(store, Misbehaviour(delay=0.5)) as url:
        answers: list[requests.Response] = []
        threads = [
            threading.Thread(target=lambda n=n: answers.append(post(url, plain(UniqueID=str(n))))) for n in range(8)
        ]
        for thread in threads:
            thread.start()
        assert requests.get(url, timeout=20).json() == {"calls": 0, "repeats": 0}
        for thread in threads:
            thread.join()
    assert [answer.status_code for answer in answers] == [200] * 8
    assert all(0.5 <= answer.elapsed.total_seconds() < 2 for answer in answers)


def test_every_is_at_least_one() -> None:
    with pytest.raises(ReceiverError, match="every is at least 1"):
        Misbehaviour(status=500, every=0)


# The store


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "calls.db")) as store:
        store.add([arrived("", CALL, None)])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        assert modes == dict.fromkeys(("calls.db", "calls.db-wal", "calls.db-shm"), 0o600)
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_what_add_took_is_on_disk_and_there_again(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    with closing(Store(path)) as store:
        assert store.add([arrived("", CALL, None)]) == [True]
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT count(*) FROM calls").fetchone() == (1,)
    with closing(Store(path)) as store:
        assert store.add([arrived("", CALL, None)]) == [False]
        assert store.counts() == {"calls": 1, "repeats": 1}


def test_no_store_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"calls\.db"):
        Store(tmp_path / "absent" / "calls.db")
    (tmp_path / "text").write_text("not a database at all, but long enough to be taken for one\n" * 20)
    with pytest.raises(ReceiverError, match="text: file is not a database"):
        Store(tmp_path / "text")


# The server


def test_tls(store: Store, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(tmp_path / "cert.pem", append=number > 0)
    with (
        Background(Receiver(store), certificate=tmp_path / "cert.pem", private_key=tmp_path / "key.pem") as background,
        requests.Session() as kept,
    ):
        assert background.url.startswith("https://127.0.0.1:")
        answer = kept.post(background.url, plain(), headers=FORM, verify=str(tmp_path / "ca.pem"), timeout=20)
        assert answer.json() == {"stored": True}
        with pytest.raises(requests.exceptions.SSLError):
            post(background.url, plain())


def test_leaving_does_not_wait_for_a_client_that_keeps_its_tls_connection(store: Store, tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "cert.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with Background(Receiver(store), certificate=tmp_path / "cert.pem") as background:
        parts = urlsplit(background.url)
        kept = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=20, context=context)
        kept.request("POST", "/", plain(), FORM)
        assert kept.getresponse().read() == b'{"stored": true}'
        leaving = time.monotonic()
    assert time.monotonic() - leaving < 2
    kept.close()


@pytest.mark.parametrize(
    ("certificate", "private_key", "expected"),
    [("absent.pem", None, "absent.pem"), (None, "absent.pem", "a private key needs a certificate")],
)
def test_unusable_certificate(store: Store, certificate: str | None, private_key: str | None, expected: str) -> None:
    files = [Path(name) if name else None for name in (certificate, private_key)]
    with (
        pytest.raises(ReceiverError, match=expected),
        Background(Receiver(store), certificate=files[0], private_key=files[1]),
    ):
        pass


def test_port_taken(running: Background) -> None:
    port = urlsplit(running.url).port
    assert port
    with pytest.raises(ReceiverError, match=f"can't listen on 127.0.0.1:{port}: Address already in use; another"):
        receiver.serve(running.receiver, "127.0.0.1", port, on_ready=print, on_hangup=print)


def test_ipv6(store: Store) -> None:
    try:
        background = Background(Receiver(store), "::1").__enter__()
    except ReceiverError:
        pytest.skip("this host has no IPv6")
    try:
        assert background.url.startswith("http://[::1]:")
        assert post(background.url, plain()).status_code == 200
    finally:
        background.__exit__()


SERVE = """
import sys
from contextlib import closing
from pathlib import Path
from humbug_agent.receiver import Receiver, Store, serve
with closing(Store(Path(sys.argv[1]))) as store:
    serve(Receiver(store), "127.0.0.1", 0, on_ready=lambda url: print(url, flush=True), on_hangup=print)
print("closed")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_in_good_order_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-W", "error", "-c", SERVE, str(tmp_path / "calls.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/receiver.php")
        with closing(connect(url)) as kept_alive:
            kept_alive.request("POST", "/receiver.php", plain(), FORM)
            assert kept_alive.getresponse().read() == b'{"stored": true}'
            process.send_signal(number)
            assert process.communicate(timeout=20) == ("closed\n", "")
    assert process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["calls.db"]
