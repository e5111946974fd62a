"""What happens again and again, in the log: said once, then how often, after a minute and from then on each hour."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_SPAN, SPAN = 60.0, 3600.0
"""Seconds after which what was only counted is said: the first time, and each time later."""

MOST_KINDS = 5
"""So many things of one subject are said each for itself before the rest is counted."""


@dataclass(slots=True)
class _Subject:
    """What is being said of one subject, and how often it happened since it was said."""

    calm: float
    since: float
    at: float
    due: float
    kinds: set[str] = field(default_factory=set)
    last: tuple[int, str] = (0, "")
    counted: int = 0


class Sayings:
    """For one thread. ``clock`` is in seconds of any one clock; ``say`` takes a level of logging and a text."""

    def __init__(self, say: Callable[[int, str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._subjects: dict[str, _Subject] = {}

    def say(self, subject: str, level: int, text: str, *, kind: str = "", calm: float = SPAN, number: int = 1) -> None:
        """Say ``text``, unless the same ``kind`` was said of this subject: then it is counted, as so many.

        After ``calm`` seconds without anything of the subject it is new again. What was said last, or counted last, is
        how things are: so at the end of these seconds it is said, too.
        """
        now = self._clock()
        self.tick()
        known = self._subjects.get(subject)
        if known is None:
            known = self._subjects[subject] = _Subject(calm, now, now, now + FIRST_SPAN)
        known.at, known.last = now, (level, text)
        if kind in known.kinds or len(known.kinds) >= MOST_KINDS:
            known.counted += number
        else:
            known.kinds.add(kind)
            self._say(level, text)

    def tick(self) -> None:
        """Say what is due. To be called now and then."""
        now = self._clock()
        for subject, known in list(self._subjects.items()):
            if now - known.at >= known.calm:
                self._count(known, now)
                del self._subjects[subject]
            elif now >= known.due:
                self._count(known, now)
                known.due = now + SPAN

    def end(self) -> None:
        """Say what was only counted so far."""
        for known in self._subjects.values():
            self._count(known, self._clock())
        self._subjects.clear()

    def _count(self, known: _Subject, now: float) -> None:
        if known.counted:
            level, text = known.last
            times = f"{known.counted:,} more" if known.counted > 1 else "one more"
            self._say(level, f"{text} ({times} within {max(round((now - known.since) / 60), 1):,} min)")
        known.counted, known.since = 0, now


def to(log: logging.Logger) -> Callable[[int, str], None]:
    return lambda level, text: log.log(level, "%s", text)
