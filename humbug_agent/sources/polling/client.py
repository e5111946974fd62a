"""Asks a PBX's API politely, one request at a time, and says in an admin's words what it got instead of an answer."""

import time
from collections.abc import Collection, Mapping
from threading import Event
from typing import Any

from humbug_agent import __version__, backoff
from humbug_agent.flat import ASKS_WHOLE
from humbug_agent.http_client.client import HttpClient, NoAnswer, Response, without_secrets
from humbug_agent.ini import Secret
from humbug_agent.scrub import Scrubber
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.polling.rows import read_json
from humbug_agent.sources.polling.settings import ApiSettings
from humbug_agent.words import count

LONGEST_ANSWER = 8 * 2**20
MOST_VALUES = 300_000
"""Bytes of an answer, and values in it: as Python's objects they are up to 60 times as large. 10,000 calls are less."""

_BEFORE_A_VALUE = (b",", b"[", b"{")

SCRUBBED = 8 * 1024
"""Characters of a text among which secrets are looked for; fewer are shown."""

LONGEST_REST = 5.0
"""Seconds between two requests at most, however long the server takes for one."""


class Stopped(Exception):
    """The agent is to end: nothing more is asked."""


class Wrong(SourceError):
    """Something came that is no answer to the question: ``status`` is HTTP's."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class TooMuch(SourceError):
    """The answer is too long, or takes too long: a smaller question may be answered."""


class TooMany(TooMuch):
    """There is more than was asked for at most, which costs nothing to ask for anew."""


class Asker:
    """A client of a PBX's API that asks one thing at a time.

    ``pause`` is how many seconds lie between two requests at least; ``secrets`` are kept out of every message.

    A server that needs longer than that for an answer has as long to itself afterwards.
    """

    def __init__(self, settings: ApiSettings, secrets: Collection[Secret], pause: float) -> None:
        self.where = without_secrets(settings.url)
        self._settings = settings
        proxy = settings.proxy.reveal() if settings.proxy else ""
        self._scrub = Scrubber([secret.reveal() for secret in secrets], [settings.url, proxy])
        self._pause = pause
        self._client: HttpClient | None = None
        self._next = 0.0
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since the epoch by the server's clock, as far as it has told, else by ours."""
        return time.time() + self._ahead

    def tells_time(self, seconds: float) -> None:
        self._ahead = seconds - time.time()

    def also_secret(self, value: str) -> None:
        """A token that the server gave."""
        self._scrub.add(value)

    def ask(
        self, method: str, url: str, stop: Event, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Whatever was answered, once the server does not ask to wait any more. Raises SourceError, Stopped."""
        wait = backoff.API.first
        while True:
            response = self._once(method, url, stop, body, headers or {})
            if response.status != 429 and not (response.status == 503 and response.retry_after):
                return response
            asked = response.retry_after or wait
            if max(asked, wait) > backoff.API.longest:
                said = f"{self.where}: answered {response.status}, too many requests; asks to wait {asked:g} s"
                raise SourceError(said, asked)
            stop.wait(asked)
            wait *= 2

    def document(self, response: Response, hint: str = "") -> Any:
        """The JSON of the answer: str (all numbers, too), bool, None, list and dict. Raises Wrong, TooMuch.

        ``hint`` is what to look at when the server does not let us in.
        """
        if response.status == 504:
            raise TooMuch(f"{self.where}: answered 504: it takes too long")
        if response.status not in range(200, 300):
            raise self.wrong(response, f"answered {response.status}{self._about(response, hint)}")
        return self.json(response)

    def json(self, response: Response) -> Any:
        """The same, whatever the status."""
        if len(response.body) >= LONGEST_ANSWER:
            raise TooMuch(f"{self.where}: answered more than {LONGEST_ANSWER // 2**20} MB")
        if response.slow:
            raise TooMuch(f"{self.where}: no whole answer within {self._settings.timeout} s")
        if sum(map(response.body.count, _BEFORE_A_VALUE)) > MOST_VALUES:
            raise TooMuch(f"{self.where}: answered more than {count(MOST_VALUES, 'value')}")
        if not response.whole:
            raise self.wrong(response, f"the answer broke off after {count(len(response.body), 'byte')}")
        try:
            return read_json(response.body)
        except ValueError:
            said = f"answered {response.status} with what is no JSON{self._beginning(response)}; check url"
            raise self.wrong(response, said) from None

    def wrong(self, response: Response, said: str) -> Wrong:
        return Wrong(self.masked(f"{self.where}: {said}"), response.status)

    def masked(self, said: str) -> str:
        """Without secrets, on one line."""
        return " ".join(self._scrub(said).split())[:500]

    def close(self) -> None:
        """Keep no connection. It can be asked again."""
        if self._client:
            self._client.close()
            self._client = None

    def _once(self, method: str, url: str, stop: Event, body: bytes | None, headers: Mapping[str, str]) -> Response:
        stop.wait(max(0.0, self._next - time.monotonic()))
        if stop.is_set():
            raise Stopped
        client = self._connected()
        began = time.monotonic()
        try:
            # Another agent, or a collector, then tells all that it has of a call; nobody else minds it.
            headers = {**headers, **dict([ASKS_WHOLE])}
            response = client.send(client.prepare(method, url), body, headers, LONGEST_ANSWER, stop)
        except NoAnswer as error:
            if stop.is_set():
                raise Stopped from error
            kind = TooMuch if error.slow else SourceError
            raise kind(self.masked(str(error))) from error
        finally:
            ended = time.monotonic()
            self._next = ended + max(self._pause, min(ended - began, LONGEST_REST))
        if stop.is_set():
            raise Stopped
        if response.date is not None:
            self.tells_time(response.date)
        return response

    def _connected(self) -> HttpClient:
        if self._client is None:
            api = self._settings
            self._client = HttpClient(
                timeout=api.timeout,
                user_agent=f"humbug-agent/{__version__}",
                ca_file=api.ca_file,
                proxy=api.proxy.reveal() if api.proxy else None,
            )
        return self._client

    def _about(self, response: Response, hint: str) -> str:
        if 300 <= response.status <= 399:
            return "; redirects are not followed, check url"
        if response.status in (401, 403):
            return f"{self._beginning(response)}; check {hint}" if hint else self._beginning(response)
        if response.status == 404:
            return "; check url"
        return self._beginning(response)

    def _beginning(self, response: Response) -> str:
        # Half a secret, at the end of what came, is not known for one.
        text = response.text
        said = " ".join(self._scrub(text[:SCRUBBED], cut=len(text) > SCRUBBED).split())[:200] if response.whole else ""
        return f" ({said})" if said else ""
