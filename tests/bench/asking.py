"""A daemon that delivers and has a live board, while many clients page through all of its calls."""

import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from tests.bench.lab import HERE, Site, running, wait_for
from tests.kit.ami_server import SECRET, USER, AmiServer
from tests.kit.small_asterisk import SmallAsterisk
from tests.kit.stream import Reader

CLIENTS = 50
TOKEN, KEY = "bench-token", "bench-key"
EVERY_SECONDS = 0.4
"""From one new channel to the next."""

MORE = """
[source ami]
type = asterisk_ami
host = 127.0.0.1
port = {ami}
username = {user}
secret = {secret}
[status]
listen = 127.0.0.1:{status}
[api]
listen = 127.0.0.1:{api}
cdr = yes
[api bench]
tenants = *
token = {token}
api_key = {key}
"""


def free() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        return int(one.getsockname()[1])


class Board:
    """The page's stream of a daemon at port ``status``, and an Asterisk that has a new channel now and then."""

    def __init__(self, site: Site, ami: AmiServer) -> None:
        self.status, self.api = free(), free()
        self._ami = ami
        self._asterisk = SmallAsterisk(time.time)
        more = MORE.format(
            ami=ami.port, user=USER, secret=SECRET, status=self.status, api=self.api, token=TOKEN, key=KEY
        )
        # Its calls are made up to be old.
        site.ini.write_text(site.ini.read_text().replace("[agent]\n", "[agent]\nkeep_days = 36500\n") + more)

    def wait(self) -> None:
        """Until the daemon listens to Asterisk, and answers on both ports."""
        wait_for(lambda: bool(self._ami.listeners), 120, "the daemon listens to Asterisk")
        for port in (self.status, self.api):
            wait_for(lambda port=port: _answers(port), 120, "the daemon answers")  # type: ignore[misc]

    @contextmanager
    def watched(self, after: list[float]) -> Iterator[None]:
        """Meanwhile ``after`` gets how long each new channel takes to the page."""
        over, sent = threading.Event(), dict[str, float]()

        def ring() -> None:
            while not over.wait(EVERY_SECONDS):
                channel = self._asterisk.call("PJSIP/bench", "204", "Bench")
                sent[channel.uniqueid] = time.monotonic()
                self._ami.lists = {
                    "CoreShowChannels": self._asterisk.core_show_channels(),
                    "QueueStatus": self._asterisk.queue_status(),
                }
                self._ami.play(self._asterisk.pending.popleft()[1] + b"\r\n\r\n")

        with Reader(self.status) as stream:

            def look() -> None:
                with suppress(OSError, ValueError):
                    while stream.hear():
                        told, now = json.dumps(stream.told["changes"]), time.monotonic()
                        for one in [one for one in list(sent) if f'"{one}"' in told]:
                            after.append(now - sent.pop(one))

            threads = [threading.Thread(target=one) for one in (ring, look)]
            for one in threads:
                one.start()
            yield
            over.set()
            threads[0].join()
            # What is under way.
            with suppress(Exception):
                wait_for(lambda: not sent, 10, "the page has all channels")
            after += [time.monotonic() - one for one in sent.values()]
            stream.sock.shutdown(socket.SHUT_RDWR)
            threads[1].join()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def paging(port: int, seconds: float, last: int, told: dict[str, float]) -> Iterator[None]:
    """Many clients meanwhile, in a process of their own; ``told`` gets what they say of it."""
    command = [sys.executable, str(HERE / "child.py"), "page", str(port), str(CLIENTS), str(seconds), str(last)]
    with running(command, stdout=subprocess.PIPE) as process:
        yield
        assert process.stdout
        told |= json.loads(process.stdout.read())


def middle_and_most(took: Sequence[float]) -> tuple[float, float]:
    return statistics.median(took), max(took)
