"""A connection to a host by its name, within a time: also where whoever knows the names does not answer."""

import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from humbug_agent.host import threads

LOOK_SECONDS = 0.2
"""How soon a look-up that hangs is given up, once its time is over or it was ended."""

Found = list[tuple[Any, ...]]
"""As socket.getaddrinfo says it."""

_asked: dict[tuple[str, int], Future[Found]] = {}
"""What is being looked up. The system's look-up can't be ended, so it has a thread of its own: one for each name."""
_asking = threading.Lock()


def connect(
    host: str,
    port: int,
    left: Callable[[], float],
    *,
    options: Sequence[tuple[int, int, int | bytes]] = (),
    begun: Callable[[socket.socket], None] = lambda _: None,
    ended: Callable[[], bool] = lambda: False,
) -> socket.socket:
    """A connection to the first of the host's addresses that takes it, within the seconds that are ``left``.

    ``begun`` gets each socket before it connects, so that another thread can shut it down; ``ended`` says whether to
    give up. Raises TimeoutError then and when the time is over, gaierror where the name is not known, UnicodeError
    where it can't be one, and OSError.
    """
    found = look_up(host.strip("[]"), port, left, ended)
    failed: OSError = TimeoutError()
    for number, (family, kind, protocol, _, where) in enumerate(found):
        # One that never answers leaves time for those behind it.
        share = left() / (len(found) - number)
        if share <= 0 or ended():
            raise TimeoutError
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            failed = error
            continue
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(share)
            begun(sock)
            sock.connect(where)
            sock.settimeout(max(left(), 0.001))
            return sock
        except OSError as error:
            failed = error
            sock.close()
    raise failed


def look_up(host: str, port: int, left: Callable[[], float], ended: Callable[[], bool]) -> Found:
    """The addresses of a host. Raises as `connect` does; whoever asks again after that waits for the same answer."""
    try:
        # For an address nobody need be asked.
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    with _asking:
        asked = _asked.get((host, port))
        if asked is None:
            asked = Future()
            threads.start(threading.Thread(target=_ask, args=(host, port, asked), name=f"name {host}", daemon=True))
            _asked[host, port] = asked
    while True:
        try:
            return asked.result(LOOK_SECONDS)
        except TimeoutError:
            if asked.done() or ended() or left() <= 0:
                raise


def _ask(host: str, port: int, asked: Future[Found]) -> None:
    found: Found = []
    failed: BaseException | None = None
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except BaseException as error:  # noqa: BLE001 # raised where it is waited for
        failed = error
    finally:
        with _asking:
            del _asked[host, port]
    if failed:
        asked.set_exception(failed)
    else:
        asked.set_result(found)
