"""A reload is noticed by nobody outside: not by FreeSWITCH, nor by who posts, nor by who looks at the page."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPException

import pytest

from tests.daemon.test_reload import reload
from tests.kit import esl_calls
from tests.kit.ami_server import AmiServer
from tests.kit.esl_server import PASSWORD, EslServer
from tests.kit.fs_folder import numbered
from tests.kit.host import API_KEY, Host, wait_until
from tests.kit.ports import free_port
from tests.kit.served import Page, running
from tests.kit.stream import Reader

pytestmark = pytest.mark.slow

RELOADS = 4
STATUS = "[status]\nlisten = 127.0.0.1:"


@contextmanager
def always(act: Callable[[int], object]) -> Iterator[list[int]]:
    """``act`` on 0, 1, 2, … until the end of ``with``: how many that were."""
    over, done = threading.Event(), [0]
    failed: list[BaseException] = []

    def run() -> None:
        try:
            while not over.is_set():
                act(done[0])
                done[0] += 1
        except (OSError, AssertionError, HTTPException) as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()
    assert not failed, failed


def configure(host: Host, more: str) -> None:
    host.ini.write_text(
        f"[agent]\noutbox = {host.folder}/outbox.db\ntimezone = UTC\n{more}"
        f"[destination humbug]\ntype = humbug\nurl = {host.receiver.url}\napi_key = {API_KEY}\n"
    )


def change(host: Host, before: str, after: str) -> None:
    host.ini.write_text(host.ini.read_text().replace(before, after))
    reload(host, 0)


def test_an_event_socket_has_one_login_and_nothing_of_it_is_lost(host: Host) -> None:
    with EslServer() as esl:
        configure(host, f"[source live]\ntype = freeswitch_esl\nport = {esl.port}\npassword = {PASSWORD}\n")
        with running(host):
            wait_until(lambda: esl.listeners)
            with always(lambda number: esl.play(esl_calls.hangup(number))) as told:
                for _ in range(RELOADS):
                    reload(host, 0)
                # What becomes of an event is no matter of the connection's.
                change(host, "port =", "legs = ab\ntimezone = Asia/Tokyo\nport =")
            wait_until(lambda: host.status()["calls"] == told[0])
            assert len(esl.login_times) == 1
            change(host, "port =", "charset = cp1251\nport =")
            wait_until(lambda: len(esl.login_times) == 2 and esl.open == 1)
    assert told[0] > 100


def post(connection: HTTPConnection, body: bytes, **headers: str) -> int:
    connection.request("POST", "/", body, headers)
    with connection.getresponse() as answer:
        answer.read()
        return answer.status


def test_who_posts_is_never_refused(host: Host) -> None:
    """Each over a connection of its own, as FreeSWITCH does, and one that stays open."""
    port = free_port()
    configure(host, f"[source posted]\ntype = freeswitch_http\nlisten = 127.0.0.1:{port}\n")

    def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=20).close()
        except ConnectionRefusedError:
            return False
        return True

    def both(number: int) -> None:
        with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as once:
            assert post(once, numbered(2 * number)[1]) == 200
        assert post(stays, numbered(2 * number + 1)[1]) == 200

    with running(host), closing(HTTPConnection("127.0.0.1", port, timeout=20)) as stays:
        wait_until(listens)
        stays.connect()
        # It is to be the same one to the end.
        stays.auto_open = 0
        with always(both) as told:
            for _ in range(RELOADS):
                reload(host, 0)
            change(host, "listen =", "legs = ab\nlisten =")
            change(host, "[source posted]", f"{STATUS}{free_port()}\n[source posted]")
        # Another password counts at once.
        change(host, "legs = ab", "username = cdr\npassword = word")
        document = numbered(2 * told[0])[1]
        assert post(stays, document) == 401
        assert post(stays, document, Authorization="Basic Y2RyOndvcmQ=") == 200
        assert host.status()["calls"] == 2 * told[0] + 1
        # Another port is another.
        change(host, f"listen = 127.0.0.1:{port}", f"listen = 127.0.0.1:{free_port()}")
        assert not listens()
    assert told[0] > RELOADS


def test_the_page_answers_all_the_time_and_its_board_is_live_all_the_time(host: Host, page: Page) -> None:
    with AmiServer() as ami:
        page.more("", ami.port)
        with running(host):
            wait_until(lambda: page.up() and page.get("/status.json").json()["boards"][0]["live"])
            asked = len(ami.asked("CoreShowChannels"))

            def look(_: int) -> None:
                assert page.get("/status.json").json()["boards"][0]["live"]

            with always(look) as looked:
                for _ in range(RELOADS):
                    reload(host, 0)
            assert looked[0] > RELOADS
            assert (ami.logins, len(ami.asked("CoreShowChannels"))) == (1, asked)
            page.more("password = word\n", ami.port)
            reload(host, 0)
            assert page.status() == 401
            assert ami.logins == 1


def test_a_connection_that_may_not_tell_what_the_board_needs_is_made_anew(host: Host, page: Page) -> None:
    """It keeps the rights that its user had when it logged in: the page says to reload once manager.conf is mended."""
    with AmiServer() as ami:
        ami.refused = {"CoreShowChannels": "Permission denied"}
        page.more("", ami.port)
        with running(host):
            wait_until(lambda: page.up() and page.get("/status.json").json()["boards"][0]["trouble"].endswith("right"))
            ami.behave()
            reload(host, 0)
            wait_until(lambda: page.get("/status.json").json()["boards"][0]["live"])
            assert (ami.logins, ami.open) == (2, 1)
            # Without the board nobody needs to be told of channels, and nobody listens.
            without, _, _ = host.ini.read_text().partition("[status]")
            host.ini.write_text(f"{without}[destination humbug]\ntype = humbug\napi_key = {API_KEY}\n")
            reload(host, 0)
            wait_until(lambda: ami.logins == 3 and ami.open == 1)
            assert not page.up()


def test_who_is_told_what_changes_comes_back_after_a_reload_and_holds_up_no_end(host: Host, page: Page) -> None:
    with AmiServer() as ami:
        page.more("", ami.port)
        with running(host) as daemon:
            wait_until(lambda: page.up() and page.get("/status.json").json()["boards"][0]["live"])
            with Reader(page.port) as before, ExitStack() as open_:
                assert before.hear()
                reload(host, 0)
                while before.hear():
                    pass
                assert ami.logins == 1
                after = [open_.enter_context(Reader(page.port)) for _ in range(20)]
                assert all(one.hear() for one in after)
                assert after[0].document["boards"][0]["live"]
                began = time.monotonic()
                daemon.send_signal(signal.SIGTERM)
                daemon.wait(10)
                assert time.monotonic() - began < 3
                for one in after:
                    while one.hear():
                        pass
