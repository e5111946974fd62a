"""What a destination is, and the ways in which it says no.

DeliveryError
├── Refused        this call, for good: it becomes a dead letter and waits for a replay. Of several that were sent
│                  at once it is not known which: they are sent again in smaller batches, in the end each alone
├── Unsendable     the same, said by ourselves, with nothing sent: nothing is known of the destination by that
├── Later          not now: the call is tried again, and the destination is spared meanwhile
└── Misconfigured  nothing would get through: no call is blamed, the destination pauses
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from humbug_agent.cdr import Record
from humbug_agent.flat import Flat


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the HTTP status if there was one, and the beginning of the text."""

    status: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be sent, with secrets masked: the parameters by name, and the body as it goes over the wire."""

    parameters: dict[str, str]
    body: str


class DeliveryError(Exception):
    """A call was not taken by the destination.

    ``reason`` is a sentence for the admin, without secrets.
    """

    def __init__(self, reason: str, answer: Answer | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answer = answer or Answer()


class Refused(DeliveryError):
    """The destination refuses for good what was sent at once, and has taken nothing of it; others may pass."""


class Unsendable(DeliveryError):
    """The call can't be put into the destination's form; nothing was sent."""


class Later(DeliveryError):
    """The destination did not take the call now; it is tried again.

    ``retry_after`` is how many seconds the receiver asked for, None when it did not.
    """

    def __init__(self, reason: str, answer: Answer | None = None, retry_after: float | None = None) -> None:
        super().__init__(reason, answer)
        self.retry_after = retry_after


class Misconfigured(DeliveryError):
    """The destination would take no call as it is set up; it pauses, and the call waits."""


Outcome = Answer | DeliveryError
"""What became of sending a call: it was accepted, or not."""


Batch = Sequence[tuple[int, Flat]]
"""Calls and notices, one or more, each under a number of its own, that go in one request, or one transaction."""


class Destination(Protocol):
    """Sends batches side by side. But for `wake`, one thread at a time uses it."""

    name: str
    connections: int
    """How many batches it takes at once."""
    batch: int
    """How many calls are at most in one. All that is under way, and no more, is in doubt where somebody is killed."""
    where: str
    """Where calls go, without what may be secret in it: for people."""

    def begin(self, batches: Sequence[Batch]) -> None:
        """Begin to deliver these, and wait for nobody: that is what `collect` is for. No call is sent twice by itself.

        Raises nothing: `collect` has what becomes of each call, once. Of a batch that is taken, or is not, as a whole
        each call has the same outcome; one that can't be put into the destination's form holds up no other.
        """
        ...

    def collect(self, wait: float) -> list[tuple[int, Outcome]]:
        """The numbers of those that came to an end by now, and how.

        If none did, of those that do within ``wait`` seconds, or until it is woken.
        """
        ...

    def doubted(self) -> list[int]:
        """Calls that `collect` took for accepted by what has since turned out to be another's answer, perhaps.

        Each is told once.
        """
        ...

    def wake(self) -> None:
        """End the wait in `collect`, the present one or the next."""
        ...

    def preview(self, record: Record) -> Preview:
        """What `begin` would send now. Sends nothing."""
        ...

    def check(self) -> str:
        """Reach the receiver for real, without a call, and say in a line what was found. Raises DeliveryError."""
        ...

    def clock_off(self) -> float | None:
        """By how many seconds this host's clock was ahead of the receiver's at the last `check`, to the second.

        None where the receiver did not tell its time.
        """
        ...

    def close(self) -> None:
        """Cut what is under way; `collect` has what comes of that. Nothing can be begun any more."""
        ...
