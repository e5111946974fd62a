"""A freeswitch_http source that is read as the pump does, with an outbox that can be blocked; and clients for it."""

import subprocess
import uuid
from collections.abc import Callable
from datetime import UTC
from http.client import HTTPConnection
from threading import Event, Thread

from humbug_agent.cdr import CDR, Reject
from humbug_agent.ini import Secret
from humbug_agent.sources.freeswitch.http.settings import FreeswitchHttpSettings
from humbug_agent.sources.freeswitch.http.source import FreeswitchHttp
from tests.kit.calls import cdrs
from tests.kit.host import wait_until


def settings(port: int = 0, username: str = "", password: str = "", legs: str = "a") -> FreeswitchHttpSettings:
    secret = Secret(password) if password else None
    return FreeswitchHttpSettings(
        name="posted",
        host="127.0.0.1",
        port=port,
        username=username,
        password=secret,
        legs=legs,
        drop_doubles=True,
        timezone=None,
    )


class Outbox:
    """Reads the source until the `with` ends. While ``free`` is not set, nothing gets on disk."""

    def __init__(self, settings: FreeswitchHttpSettings) -> None:
        self.source = FreeswitchHttp(settings, UTC)
        self.records: list[CDR] = []
        self.rejects: list[Reject] = []
        self.commits = 0
        self.failures = 0
        self.free = Event()
        self.free.set()
        self.broken = Event()
        self.stop = Event()

    def __enter__(self) -> "Outbox":
        self._thread = Thread(target=self._run)
        self._thread.start()
        wait_until(lambda: self.source.port)
        return self

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self.stop.is_set()
            reading = self.source.read(None, self.stop, follow=True)
            for batch in reading:
                if not (batch.records or batch.rejects):
                    continue
                if self.broken.is_set():
                    # As the pump does when the outbox raises: the reading is dropped.
                    self.failures += 1
                    ended = self.stop.wait(0.05)
                    break
                while not self.free.wait(0.02):
                    pass
                self.records += cdrs(batch.records)
                self.rejects += batch.rejects
                self.commits += 1
            reading.close()
        self.source.let_go()

    def end(self) -> None:
        self.stop.set()
        self._thread.join(15)
        assert not self._thread.is_alive()

    def __exit__(self, *_: object) -> None:
        self.free.set()
        self.broken.clear()
        self.end()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.source.port}/"

    @property
    def numbers(self) -> list[int]:
        return sorted(uuid.UUID(record.uniqueid).int for record in self.records)

    def post(self, body: bytes, path: str = "/", headers: dict[str, str] | None = None) -> int:
        connection = HTTPConnection("127.0.0.1", self.source.port, timeout=20)
        try:
            connection.request("POST", path, body, headers or {})
            with connection.getresponse() as answer:
                answer.read()
                return answer.status
        finally:
            connection.close()


def curl(url: str, body: bytes, *arguments: str) -> int:
    """As the modules send it: the status, 0 where there is no answer."""
    done = subprocess.run(
        ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-", *arguments, url],
        input=body,
        capture_output=True,
        timeout=30,
        check=False,
    )
    return int(done.stdout)


def in_background(action: Callable[[], int]) -> tuple[Thread, list[int]]:
    answers: list[int] = []
    thread = Thread(target=lambda: answers.append(action()))
    thread.start()
    return thread, answers
