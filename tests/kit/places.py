"""A place for each type of destination: the other end, a real one, that is slow, away or strict when it is told so.

Calls are those of `calls.call`, and are known there again by their UniqueIDs.
"""

import base64
import re
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote_to_bytes

import psycopg
from standardwebhooks import Webhook, WebhookVerificationError

from tests.kit.nats_server import NatsServer
from tests.kit.paths import TOP
from tests.kit.postgresql_server import USER, PostgresqlServer
from tests.kit.rude import Act, Request, Rude

KEY = b"the-key-that-signs-all-of-it"


class Place:
    """For a destination of its ``type``, within ``with``. ``folder`` is empty, and its own."""

    type = ""
    once = False
    """Whether a call that is sent again is there once all the same."""
    refuses_calls = True
    """Whether there is a call that it refuses and that can be sent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def lines(self, *, wrong: bool = False) -> str:
        """The lines of its section in agent.ini but ``type``, with a timeout of two seconds.

        ``wrong``: with credentials that it does not take.
        """
        raise NotImplementedError

    def arrived(self) -> Sequence[str]:
        """The UniqueIDs of the calls that it has taken, as often as they are there."""
        raise NotImplementedError

    def heard(self) -> bytes:
        """All that it was told of calls, as it came."""
        raise NotImplementedError

    def refuse(self, uniqueids: set[str]) -> None:
        """Refuse these for good from now on, and with them all that comes in one request."""
        raise NotImplementedError

    def away(self) -> None:
        """Nobody is there any more. What was taken is kept."""
        raise NotImplementedError

    def back(self) -> None:
        """After `away`, at the same address."""
        raise NotImplementedError

    def hold(self) -> None:
        """Answer nothing until `go_on`."""
        raise NotImplementedError

    def held(self) -> bool:
        """Whether something waits there for its answer."""
        raise NotImplementedError

    def go_on(self) -> None:
        raise NotImplementedError

    def freeze(self) -> None:
        """Neither answer anything nor close anything, as a host does that hangs, until `thaw`."""
        raise NotImplementedError

    def thaw(self) -> None:
        raise NotImplementedError


class HttpPlace(Place):
    """A real HTTP server. What a request has in it, and whether the credentials are right, its type says."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._stack = ExitStack()
        self._refused: set[str] = set()
        self._taken: list[str] = []
        self._waiting = 0
        self._going = threading.Event()
        self._going.set()
        self._server = Rude(self._answer)
        self.url = self._server.url

    def calls(self, request: Request) -> list[str] | None:
        """The UniqueIDs in it; None: it has the wrong credentials."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._stack.enter_context(self._server)
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()
        self._stack.close()

    def arrived(self) -> Sequence[str]:
        return list(self._taken)

    def heard(self) -> bytes:
        return b"\n".join(repr(request.headers).encode() + request.body for request in self._server.requests)

    def refuse(self, uniqueids: set[str]) -> None:
        self._refused = uniqueids

    def away(self) -> None:
        self._stack.close()

    def back(self) -> None:
        self._server = self._stack.enter_context(Rude(self._answer, port=self._server.port))

    def hold(self) -> None:
        self._going.clear()

    def held(self) -> bool:
        return self._waiting > 0

    def go_on(self) -> None:
        self._going.set()

    def _answer(self, request: Request) -> Act:
        calls = self.calls(request)
        if calls is None:
            return Act(status=401)
        if not self._going.is_set():
            # What is sent while it holds is in doubt, for it is taken.
            self._waiting += 1
            self._taken += calls
            return Act(hold=self._going)
        if self._refused.intersection(calls):
            return Act(status=400, body=b"no such call")
        self._taken += calls
        return Act()


class HumbugPlace(HttpPlace):
    type = "humbug"

    def lines(self, *, wrong: bool = False) -> str:
        return f"url = {self.url}\napi_key = {'another' if wrong else 'the-key'}\ntimeout = 2\n"

    def calls(self, request: Request) -> list[str] | None:
        form = request.form
        return [form["UniqueID"]] if form["gateway"] == "the-key" else None

    def heard(self) -> bytes:
        return unquote_to_bytes(super().heard().replace(b"+", b" "))


class HumbugEncodedPlace(HumbugPlace):
    """It takes what is XORed with its key."""

    secret = b"the-key-that-disguises"

    def lines(self, *, wrong: bool = False) -> str:
        return super().lines(wrong=wrong) + f"encryption_key = {self.secret.decode()}\n"

    def calls(self, request: Request) -> list[str] | None:
        return re.findall("UniqueID=([^&]*)&", self._plain(request).decode())

    def heard(self) -> bytes:
        return super().heard() + b"\n".join(unquote_to_bytes(self._plain(one)) for one in self._server.requests)

    def _plain(self, request: Request) -> bytes:
        data = bytes.fromhex(request.form["data"])
        return bytes(one ^ key for one, key in zip(data, cycle(self.secret), strict=False))


class WebhookPlace(HttpPlace):
    """It takes what the verifier of Standard Webhooks takes."""

    type = "webhook"
    batch = 1

    def lines(self, *, wrong: bool = False) -> str:
        secret = "whsec_" + base64.b64encode(b"another" * 4 if wrong else KEY).decode()
        return f"url = {self.url}\nsecret = {secret}\nbatch = {self.batch}\ntimeout = 2\n"

    def calls(self, request: Request) -> list[str] | None:
        try:
            said = Webhook(KEY).verify(request.body, request.headers)
        except WebhookVerificationError:
            return None
        return [event["data"]["uniqueid"] for event in ([said] if self.batch == 1 else said)]


class WebhookInBatches(WebhookPlace):
    batch = 25


class PostgresqlPlace(Place):
    """A real server. What holds up an insert there is a lock on the table."""

    type = "postgresql"
    once = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = PostgresqlServer()
        self._lock: psycopg.Connection[tuple[Any, ...]] | None = None

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def lines(self, *, wrong: bool = False) -> str:
        return (
            self.server.lines(**({"password": "another"} if wrong else {})) + "pbx = here\ntimeout = 2\nbatch = 200\n"
        )

    def arrived(self) -> Sequence[str]:
        there = self.server.ask("SELECT to_regclass('cdr')")[0][0]
        return [uniqueid for (uniqueid,) in self.server.ask("SELECT uniqueid FROM cdr")] if there else []

    def heard(self) -> bytes:
        return b"\n".join(row.encode() for (row,) in self.server.ask("SELECT cdr::text FROM cdr"))

    def refuse(self, uniqueids: set[str]) -> None:
        self._make()
        names = ", ".join(f"'{each}'" for each in uniqueids)
        self.server.ask(f"ALTER TABLE cdr ADD CHECK (uniqueid NOT IN ({names}))")

    def away(self) -> None:
        self.server.kill()

    def back(self) -> None:
        self.server.start()

    def hold(self) -> None:
        self._make()
        self._lock = self.server.connect()
        self._lock.execute("BEGIN")
        self._lock.execute("LOCK TABLE cdr IN EXCLUSIVE MODE")

    def held(self) -> bool:
        return bool(self.server.ask("SELECT pid FROM pg_locks WHERE NOT granted"))

    def go_on(self) -> None:
        if self._lock:
            self._lock.close()
            self._lock = None

    def freeze(self) -> None:
        self.server.freeze()

    def thaw(self) -> None:
        self.server.thaw()

    def _make(self) -> None:
        """As docs/destinations/postgresql.md has it."""
        (sql,) = re.findall(
            r"```sql\n(CREATE TABLE.*?)```", (TOP / "docs/destinations/postgresql.md").read_text(), re.S
        )
        self.server.ask(f'SET ROLE "{USER}"; {sql}')


class NatsPlace(Place):
    """A real server. What holds it up is SIGSTOP."""

    type = "nats"
    once = True
    refuses_calls = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = NatsServer()
        self._frozen: list[str] | None = None

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def lines(self, *, wrong: bool = False) -> str:
        return self.server.lines(**({"password": "another"} if wrong else {})) + "pbx = here\ntimeout = 2\n"

    def arrived(self) -> Sequence[str]:
        if self._frozen is not None:
            return self._frozen
        return [str(event["data"]["uniqueid"]) for event in self.server.events()]

    def heard(self) -> bytes:
        # JetStream's files hold each message as it came, with its subject and its headers.
        stored = (self.server.folder / "stored").rglob("*.blk")
        return b"\n".join(path.read_bytes() for path in stored)

    def away(self) -> None:
        self.server.kill()

    def back(self) -> None:
        self.server.start()

    def hold(self) -> None:
        self.freeze()

    def held(self) -> bool:
        return self.server.is_waited_for()

    def go_on(self) -> None:
        self.thaw()

    def freeze(self) -> None:
        # While it is, nobody can ask.
        self._frozen = list(self.arrived())
        self.server.freeze()

    def thaw(self) -> None:
        self.server.thaw()
        self._frozen = None


PLACES: dict[str, type[Place]] = {
    "humbug": HumbugPlace,
    "webhook": WebhookPlace,
    "webhook, batches": WebhookInBatches,
    "postgresql": PostgresqlPlace,
    "nats": NatsPlace,
}
"""By the type, and what else is set."""
