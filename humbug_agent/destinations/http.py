"""What every destination asked over HTTP has in common: how calls go, and what is made of an answer or of none."""

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from humbug_agent.destinations.contract import Answer, Batch, DeliveryError, Later, Misconfigured, Outcome, Refused
from humbug_agent.flat import Flat
from humbug_agent.http_client.client import ClientCert, HttpClient, NoAnswer, Response, without_secrets
from humbug_agent.http_client.loop import Line, Loop, Question
from humbug_agent.scrub import Scrubber

READ_LIMIT = 64 * 1024
"""Bytes of an answer that are looked at."""

KEPT, SCRUBBED = 500, 8 * 1024
"""Characters of an answer that are kept, and among which secrets are looked for: masking them makes it shorter."""

REFUSED = (400, 413, 422)
LATER = (408, 425, 429)

MOST_DOUBTFUL = 100
"""So many accepted requests that were followed by one that failed are remembered for each connection."""

log = logging.getLogger(__name__)

A = TypeVar("A")
T = TypeVar("T")

Form = Callable[[Sequence[Flat]], tuple[bytes, Mapping[str, str]]]
"""Makes of the calls of a request its body and its own headers, or raises DeliveryError."""


class _Order:
    """Which calls a line has sent, one after the other, as far as their answers may turn out to be another's."""

    def __init__(self) -> None:
        self._asked = 0
        self._taken: tuple[int, ...] = ()
        self._doubtful: deque[tuple[int, tuple[int, ...]]] = deque(maxlen=MOST_DOUBTFUL)

    def judged(self, numbers: tuple[int, ...], *, accepted: bool) -> None:
        if not accepted and self._taken:
            # Were the answers late by one, it is this one that was to the request before.
            self._doubtful.append((self._asked, self._taken))
        self._asked, self._taken = self._asked + 1, numbers if accepted else ()

    def doubted(self, count: int) -> list[int]:
        """Calls that seem accepted and may not be, now that it is doubtful whose the last ``count`` answers were."""
        doubtful = [number for at, numbers in self._doubtful if at > self._asked - count for number in numbers]
        return [*doubtful, *self._taken]


class Poster:
    """POSTs bodies to ``url``. ``timeout`` (seconds) is for a request as a whole.

    But for `wake` and `get`, one thread at a time uses it. ``secrets`` are masked wherever the receiver says them back,
    as those in the URLs are.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        timeout: float,
        user_agent: str,
        content_type: str = "application/x-www-form-urlencoded",
        headers: Mapping[str, str] | None = None,
        ca_file: Path | None = None,
        client_cert: ClientCert | None = None,
        proxy: str | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        self.place = without_secrets(url)
        self.clock_off: float | None = None
        self._scrub = Scrubber(secrets, [url, proxy or ""])
        self._client = HttpClient(
            timeout=timeout,
            user_agent=user_agent,
            headers=headers,
            ca_file=ca_file,
            client_cert=client_cert,
            proxy=proxy,
        )
        self._get, self._post = (self._client.prepare(method, url) for method in ("GET", "POST"))
        self._post.headers.setdefault("Content-Type", content_type)
        self._name = name
        self._made: Loop | None = None
        self._making = threading.Lock()
        self._orders: defaultdict[Line, _Order] = defaultdict(_Order)
        self._failed: list[tuple[int, Outcome]] = []
        self._doubted: list[int] = []

    def get(self) -> Response:
        """Raises Later or Misconfigured when no answer came. What it says of its clock goes to ``clock_off``."""
        began = time.time()
        try:
            response = self._client.send(self._get, None, {}, READ_LIMIT)
        except NoAnswer as error:
            raise self._no_answer(error) from error
        if response.date is not None:
            # Its clock was read while this ran, and cut to the second.
            self.clock_off = max(0.0, began - response.date - 1) + min(0.0, time.time() - response.date)
        return response

    def begin(self, batches: Sequence[Batch], form: Form) -> None:
        """As a destination's: a request for each of them."""
        self._loop.ask([made for batch in batches if (made := self._question(batch, form))])

    def _question(self, batch: Batch, form: Form) -> Question | None:
        """None where there is nothing left to be sent."""
        numbers, flats = zip(*batch, strict=True)
        made = self._attempt(numbers, form, flats)
        if not isinstance(made, DeliveryError):
            return Question(numbers, *made)
        # Each by itself: one that can't be said must not keep the others from being sent.
        alone = [self._attempt((number,), form, (flat,)) if len(batch) > 1 else made for number, flat in batch]
        failed = {n: error for n, error in zip(numbers, alone, strict=True) if isinstance(error, DeliveryError)}
        self._failed += (failed or dict.fromkeys(numbers, made)).items()
        rest = [one for one in batch if one[0] not in failed] if failed else []
        return self._question(rest, form) if rest else None

    def collect(self, wait: float, judge: Callable[[Response], Answer]) -> list[tuple[int, Outcome]]:
        """As a destination's; ``judge`` makes of a response the answer, or raises DeliveryError."""
        outcomes, self._failed = self._failed, []
        for line, question, response, doubted in self._loop.collect(0 if outcomes else wait):
            order = self._orders[line] if line else _Order()
            if doubted:
                self._doubted += order.doubted(doubted)
            if question is None or response is None:
                continue
            outcome: Outcome
            if isinstance(response, NoAnswer):
                outcome = self._no_answer(response)
            else:
                outcome = self._attempt(question.numbers, judge, response)
            order.judged(question.numbers, accepted=isinstance(outcome, Answer))
            outcomes += [(number, outcome) for number in question.numbers]
        return outcomes

    def doubted(self) -> list[int]:
        doubted, self._doubted = self._doubted, []
        return doubted

    def wake(self) -> None:
        self._loop.wake()

    def said(self, response: Response) -> str:
        """The beginning of its text, without secrets."""
        text = response.text
        return self._scrub(text[:SCRUBBED], cut=len(text) > SCRUBBED or not response.whole)

    def close(self) -> None:
        self._client.close()
        self._loop.close()

    @property
    def _loop(self) -> Loop:
        """What is only asked what it would send opens nothing."""
        with self._making:
            if self._made is None:
                self._made = Loop(self._client, self._post, READ_LIMIT, self._name)
            return self._made

    def _no_answer(self, error: NoAnswer) -> DeliveryError:
        return (Misconfigured if error.lasting else Later)(self._scrub(str(error)))

    def _attempt(self, numbers: tuple[int, ...], work: Callable[[A], T], argument: A) -> T | DeliveryError:
        """What comes of ``work``, whatever that is."""
        try:
            return work(argument)
        except DeliveryError as error:
            return error
        except Exception as error:
            calls = ", ".join(map(str, numbers))
            log.exception("%s: could not be sent to %s", f"call {calls}", self._name)
            return Later(f"{type(error).__name__}: {error}")


class HttpDestination:
    """What destinations that are asked over HTTP have in common: all but what they send, and how they judge an answer.

    ``judge`` makes of a response the answer, or raises DeliveryError.
    """

    def __init__(self, poster: Poster, judge: Callable[[Response], Answer]) -> None:
        self._poster = poster
        self._judged = judge
        self.where = poster.place

    def collect(self, wait: float) -> list[tuple[int, Outcome]]:
        return self._poster.collect(wait, self._judged)

    def doubted(self) -> list[int]:
        return self._poster.doubted()

    def wake(self) -> None:
        self._poster.wake()

    def clock_off(self) -> float | None:
        return self._poster.clock_off

    def close(self) -> None:
        self._poster.close()


def judge(
    status: int, text: str, retry_after: float | None, where: str, *, credentials: str = "api_key and encryption_key"
) -> Answer:
    """The answer, if it is a 2xx. Raises the DeliveryError that the status stands for."""
    answer = Answer(status, text[:KEPT])
    if 200 <= status <= 299:
        return answer
    said = f"{where}: answered {status}"
    if status in REFUSED:
        quoted = " ".join(answer.text.split())[:200]
        raise Refused(f"{said} ({quoted})" if quoted else said, answer)
    if status in LATER or status >= 500:
        raise Later(said, answer, retry_after)
    hints = {
        401: f"; check {credentials}",
        403: f"; check {credentials}",
        404: "; check url",
        407: "; check proxy",
    }
    hint = "; redirects are not followed, check url" if 300 <= status <= 399 else hints.get(status, "; check url")
    raise Misconfigured(said + hint, answer)
