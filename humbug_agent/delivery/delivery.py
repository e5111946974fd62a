"""Takes what is due, sends it side by side, judges what came back, and sets the next try.

One thread does it all (`step`), and the destination has calls under way side by side. What came back is written down
before anything more is handed out: whatever is killed, no more calls are in doubt than were under way.

Where a destination takes batches, calls go together that failed equally often, fewer each time: so one that is refused,
or fails again and again, is alone after a few attempts, and those that were sent with it have got through.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from humbug_agent.backoff import Pace, retry_in
from humbug_agent.delivery.clock import REAL, Clock
from humbug_agent.delivery.tally import Tally
from humbug_agent.destinations.contract import (
    Answer,
    Batch,
    DeliveryError,
    Destination,
    Later,
    Misconfigured,
    Outcome,
    Refused,
    Unsendable,
)
from humbug_agent.outbox.outbox import Due, Lost, Mark, Outbox
from humbug_agent.outbox.schema import OutboxDamaged, OutboxError
from humbug_agent.outbox.takers import Takes
from humbug_agent.outbox.waits import SLEWED_SECONDS, cut_waits, move_waits
from humbug_agent.repeats import Sayings, to
from humbug_agent.words import count

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
"""How long nobody looks whether something became due, at most twice so long: another process may have said replay."""

STOP_SECONDS = 5.0
"""How long a stop waits for the answers to what is under way."""

OUTBOX_SECONDS = 10.0
"""How long to wait when the outbox can't be written, its disk being full for instance."""

PATIENT_PROBES, PATIENT_SECONDS = 2, 5.0
"""After how many failed probes in a row, or for how long a wait, `run_until_idle` gives up on the destination."""

CALM_SECONDS = 60.0
"""What comes and goes at shorter intervals is not said each time."""

MOST_PUT_BACK = 100
FRESH_SECONDS = 1.0
"""For how long what was fetched may be handed out: a call that was purged meanwhile must not be sent."""

FETCHED = range(32, 256)
"""Up to so many calls are fetched at once: the fewest, and the most. A batch may be larger."""

SMALLER_BITS = 4
"""With each failure of the calls in it a batch is to be a sixteenth as large."""


@dataclass(slots=True)
class _Under:
    """A batch that is under way, and how many of its calls still are. ``probe`` is as in `Pace.failed`."""

    size: int
    probe: bool
    left: int


class Delivery:
    """Delivers the calls of one destination: of those that wait for it ``only`` what it takes now, the others are dead.

    ``outbox`` belongs to the thread that calls `run` or `step`.
    """

    def __init__(self, destination: Destination, *, clock: Clock = REAL, only: Takes | None = None) -> None:
        self._destination = destination
        self._only = only
        self._clock = clock
        # From the clock that nobody sets to the one by which the outbox is written.
        self._offset = clock.time() - clock.monotonic()
        self._pace = Pace(destination.connections)
        self._ready: deque[Due] = deque()
        self._fetched = 0.0
        # As many as make full batches.
        self._fetches = range(max(FETCHED.start, destination.batch), max(FETCHED.stop, 2 * destination.batch))
        self._limit, self._more = self._fetches.start, False
        # Something may be due that was not when it was looked last.
        self._woken = True
        self._under_way: dict[int, tuple[Due, _Under]] = {}
        # What failed as it was begun, and may be on its way all the same.
        self._given_up: dict[int, Due] = {}
        self._batches = 0
        self._put_back: dict[int, Due] = {}
        self._unmarked: list[Mark] = []
        self._doubted: list[int] = []
        self._put_off: dict[int, float] = {}
        self._told = ("", "")
        self._held = 0.0
        self._sayings = Sayings(to(log), clock.monotonic)
        self.tally = Tally(clock.time())

    # What the agent calls.

    @property
    def name(self) -> str:
        return self._destination.name

    def wake(self, not_before: float = 0.0) -> None:
        """There may be something new, to be sent at this monotonic time or later. Any thread may call it."""
        self._held = not_before
        self._woken = True
        self._destination.wake()

    def run(self, connect: Callable[[], Outbox], stop: threading.Event) -> None:
        """Deliver until ``stop`` is set. Raises OutboxDamaged; other trouble with the outbox it waits out.

        ``connect`` opens the outbox, and again after each trouble: a file that was opened while its disk was read-only
        stays so for that connection, long after the disk is not.
        """
        trouble = ""
        outbox: Outbox | None = None
        try:
            while not stop.is_set():
                try:
                    outbox = outbox or connect()
                    self.step(outbox, IDLE_SECONDS)
                    if trouble:
                        self._of_outbox(logging.INFO, f"outbox {outbox.path}: can be used again")
                    trouble = ""
                except OutboxDamaged:
                    raise
                except OutboxError as error:
                    if str(error) != trouble:
                        trouble = str(error)
                        self._of_outbox(logging.ERROR, f"{trouble}; nothing is sent to {self.name} meanwhile")
                    if outbox:
                        outbox.close()
                        outbox = None
                    stop.wait(OUTBOX_SECONDS)
        finally:
            self._end(outbox, connect)

    def run_until_idle(self, outbox: Outbox, stop: threading.Event, progress: Callable[[int], None]) -> None:
        """Deliver until nothing is due any more; ``progress`` hears how many calls were dealt with."""
        try:
            while not stop.is_set() and (self._under_way or self._unmarked or self._may_send(outbox)):
                progress(self.step(outbox, IDLE_SECONDS))
        finally:
            self._finish(outbox)

    def step(self, outbox: Outbox, wait: float) -> int:
        """Hand out what may be sent, wait up to ``wait`` seconds for an answer, write down all that came.

        Returns how many came. Raises OutboxError; nothing is sent then until what came is written down.
        """
        if not self._told[0]:
            cut_waits(outbox, self.name, self._now())
            self._woken = True
            self.tally.remember(*outbox.sent_minutes(self.name))
            # The first thing to find out: what can't be written down must not be sent.
            self._tell(outbox)
        self._write(outbox)
        self._follow_clock(outbox)
        self._hand_out(outbox)
        came = self._collect(self._patience(wait))
        self._judge(came)
        self._write(outbox)
        self._tell(outbox)
        self._sayings.tick()
        return len(came)

    # How it does it.

    def _now(self) -> float:
        """By the clock by which the outbox is written: the time of day, as it was when it was looked at last."""
        return self._clock.monotonic() + self._offset

    def _follow_clock(self, outbox: Outbox) -> None:
        """All that waits goes on waiting for as long as it would have, where the time of day was set."""
        offset = self._clock.time() - self._clock.monotonic()
        if abs(offset - self._offset) > SLEWED_SECONDS:
            move_waits(outbox, self.name, offset - self._offset)
            self._offset, self._woken = offset, True

    def _may_send(self, outbox: Outbox) -> bool:
        """Whether something is due that may be sent soon. A destination that fails again and again ends the wait."""
        self._fetch(outbox)
        if not self._ready or self._pace.paused or self._pace.failures > PATIENT_PROBES:
            return False
        return self._pace.waits_until() - self._clock.monotonic() < PATIENT_SECONDS

    def _hand_out(self, outbox: Outbox) -> None:
        now = self._clock.monotonic()
        room = self._pace.room(now, self._batches) if now >= self._held else 0
        if room > 0:
            self._fetch(outbox)
        begun: list[Batch] = []
        while len(begun) < room and self._ready:
            batch = [self._probe(outbox)] if self._pace.probing else self._next()
            under = _Under(len(batch), self._pace.probing, len(batch))
            for due in batch:
                self._under_way[due.id] = (due, under)
                self._given_up.pop(due.id, None)
            begun.append([(due.id, due.flat) for due in batch])
        if begun:
            self._batches += len(begun)
            self._begin(begun)

    def _begin(self, batches: Sequence[Batch]) -> None:
        """Whatever goes wrong in a destination costs an attempt of these calls, and not the delivery of all others."""
        try:
            self._destination.begin(batches)
        except Exception as error:
            log.exception("destination %s: a fault of this program", self.name)
            failed = Later(f"a fault of this program: {error!r}")
            numbers = [number for batch in batches for number, _ in batch]
            self._given_up |= {number: self._under_way[number][0] for number in numbers}
            self._judge([(number, failed) for number in numbers])

    def _next(self) -> list[Due]:
        """Some of what is ready that may go together: the first, and those behind it that failed as often."""
        first = self._ready.popleft()
        # In a damaged outbox it may have failed less often than never.
        most = 1 if first.test else max(1, self._destination.batch >> SMALLER_BITS * max(first.attempts, 0))
        if most == 1:
            return [first]
        batch, others = [first], list[Due]()
        while self._ready and len(batch) < most:
            due = self._ready.popleft()
            (batch if due.attempts == first.attempts and not due.test else others).append(due)
        self._ready.extendleft(reversed(others))
        return batch

    def _probe(self, outbox: Outbox) -> Due:
        """The oldest call; every other time the newest, in case the oldest ones fail by their own fault."""
        if self._pace.failures % 2:
            without = self._under_way.keys() | self._put_back.keys() | {due.id for due in self._ready}
            if newest := self._whole(outbox, lambda: outbox.take_newest(self.name, without)):
                return newest[0]
        return self._ready.popleft()

    def _fetch(self, outbox: Outbox) -> None:
        now = self._clock.monotonic()
        fresh = now - self._fetched < FRESH_SECONDS and not self._pace.probing
        if fresh and (self._ready or not (self._more or self._woken or self._put_back)):
            return
        # As many as go while they are fresh: fewer where some are left of the last ones, more where none are.
        if self._ready:
            self._limit = max(self._limit // 2, self._fetches.start)
        elif self._more:
            self._limit = min(self._limit * 2, self._fetches.stop)
        self._ready.clear()
        self._fetched, self._woken = now, False
        without = self._under_way.keys() | self._put_back.keys()
        self._ready.extend(self._whole(outbox, lambda: outbox.take(self.name, self._limit, self._now(), without)))
        self._more = len(self._ready) == self._limit
        if self._put_back and (not self._ready or len(self._put_back) > MOST_PUT_BACK):
            waiting = outbox.still_waiting(self.name, self._put_back)
            self._ready.extend(due for due in self._put_back.values() if due.id in waiting)
            self._put_back.clear()

    def _whole(self, outbox: Outbox, take: Callable[[], list[Due | Lost]]) -> list[Due]:
        """What ``take`` finds; those of it that must not be sent are dead, whatever the destination answers."""
        while True:
            found = take()
            unsendable = [(one, why) for one in found if (why := self._why_not(one))]
            if not unsendable:
                return [one for one in found if isinstance(one, Due)]
            now = self._now()
            self._unmarked += [self._dead(one, now, Unsendable(why)) for one, why in unsendable]
            self._write(outbox)

    def _why_not(self, one: Due | Lost) -> str:
        """Why it must not be sent: it is no call any more, or by today's settings not this destination's."""
        if isinstance(one, Lost):
            return f"the outbox is damaged: {one.reason}"
        if self._only is None or one.test:
            return ""
        try:
            return "" if self._only(one.flat) else f"[destination {self.name}] only, as it is now, leaves it out"
        except ValueError as error:
            return f"the outbox is damaged: {error}"

    def _collect(self, wait: float) -> list[tuple[int, Outcome]]:
        came = self._destination.collect(wait)
        self._doubted += self._destination.doubted()
        return came

    def _judge(self, came: Sequence[tuple[int, Outcome]]) -> None:
        """What is to be written down of it."""
        now = self._now()
        for number, outcome in came:
            if number in self._under_way:
                self._unmarked.append(self._judged(number, outcome, now))
            elif (due := self._given_up.pop(number, None)) and isinstance(outcome, Answer):
                # It was taken all the same: it must not be sent again.
                self._unmarked.append(_mark(due, "sent", now, outcome, ""))
                self._put_back.pop(number, None)
                self._ready.clear()
                self._woken = True

    def _patience(self, wait: float) -> float:
        """Nothing under way and the next probe, or the end of a hold, near: wake up for it."""
        left = max(self._pace.waits_until(), self._held) - self._clock.monotonic()
        return wait if self._under_way or left <= 0 else min(wait, left + 0.001)

    def _judged(self, number: int, outcome: Outcome, now: float) -> Mark:
        due, under = self._under_way.pop(number)
        under.left -= 1
        self._batches -= not under.left
        attempts, probe = due.attempts + 1, under.probe
        if not due.test:
            self.tally.count(delivered=isinstance(outcome, Answer), now=now)
        if isinstance(outcome, Answer):
            self._passed(now)
            return _mark(due, "sent", now, outcome, "")
        # It may be due at once.
        self._woken = True
        if isinstance(outcome, Refused):
            self._passed(now)
            if under.size > 1:
                said = f"refused together with {count(under.size - 1, 'other call')}, sent again in a smaller batch: "
                return _mark(due, "waiting", now, outcome.answer, said + outcome.reason, None)
            return self._dead(due, now, outcome)
        if isinstance(outcome, Unsendable):
            return self._dead(due, now, outcome)
        if isinstance(outcome, Misconfigured):
            # Not the call's fault, as things stand. The next probe is made with another one.
            self._put_back[number] = replace(due, attempts=attempts)
            self._pace.failed(self._clock.monotonic(), outcome.reason, probe=probe, pause=True)
            return _mark(due, "waiting", now, outcome.answer, outcome.reason, None)
        asked = outcome.retry_after if isinstance(outcome, Later) else None
        if not self._may_be_its_own_fault(due, outcome, asked):
            self._pace.failed(self._clock.monotonic(), outcome.reason, probe=probe, asked=asked)
        return _mark(due, "waiting", now, outcome.answer, outcome.reason, now + retry_in(attempts, asked))

    def _may_be_its_own_fault(self, due: Due, outcome: DeliveryError, asked: float | None) -> bool:
        """It has failed before, others pass, and the receiver is there: no reason to hold up the others."""
        return not self._pace.probing and due.attempts > 0 and outcome.answer.status is not None and asked is None

    def _dead(self, due: Due | Lost, now: float, error: DeliveryError) -> Mark:
        refused = "refused for good: " if isinstance(error, Refused) else ""
        test = isinstance(due, Due) and due.test
        # Of a test call the command that waits for it tells, and nothing is left of it to be shown.
        see = "" if test else f"; see humbug-agent outbox show {due.id}"
        said = f"{'test call' if test else 'call'} {due.id}: {refused}{error.reason}{see}"
        self._sayings.say("refused", logging.ERROR, said, kind=str(error.answer.status))
        return _mark(due, "dead", now, error.answer, error.reason)

    def _passed(self, now: float) -> None:
        """The call got through: what was put back may have failed on its own account, and waits a while."""
        self._pace.succeeded()
        if self._put_back:
            self._put_off |= {due.id: now + retry_in(due.attempts) for due in self._put_back.values()}
            self._put_back.clear()

    def _write(self, outbox: Outbox) -> None:
        if self._unmarked:
            if not outbox.mark(self.name, self._unmarked):
                log.error(
                    "outbox %s: damaged: its list of what waits named calls that did not, and was made anew; look "
                    "after its disk",
                    outbox.path,
                )
            self._unmarked = []
        if self._doubted:
            outbox.doubt_answers(self.name, self._doubted, self._now())
            self._doubted, self._woken = [], True
        if self._put_off:
            outbox.put_off(self.name, self._put_off)
            self._put_off = {}

    def _tell(self, outbox: Outbox) -> None:
        """Say it once when the destination stops taking calls, and once when it takes them again."""
        spared = self._pace.spares(self._clock.monotonic())
        state = "paused" if self._pace.paused else "failing" if self._pace.failures or spared else "ok"
        reason = spared or self._pace.reason
        if (state, reason) == self._told:
            return
        outbox.report(f"destination {self.name}", state, reason)
        before, self._told = self._told[0], (state, reason)
        if state == before:
            return
        said = {
            "paused": (logging.ERROR, f"paused: {reason}. All calls are kept, one is tried now and then"),
            "failing": (logging.WARNING, f"{reason}. All calls are kept and tried again"),
            "ok": (logging.INFO, "takes calls again"),
        }
        if before or state != "ok":
            level, text = said[state]
            self._sayings.say("state", level, f"destination {self.name}: {text}", kind=state, calm=CALM_SECONDS)

    def _of_outbox(self, level: int, text: str) -> None:
        self._sayings.say("outbox", level, text, kind=text, calm=CALM_SECONDS)

    def _end(self, outbox: Outbox | None, connect: Callable[[], Outbox]) -> None:
        """As `_finish`. What is open stays so until then: of a file that was taken away there is no other way to it."""
        try:
            if outbox or self._under_way or self._unmarked:
                with outbox or connect() as opened:
                    self._finish(opened)
                return
        except OutboxError as error:
            log.error("%s", error)
        self._destination.close()
        self._sayings.end()

    def _finish(self, outbox: Outbox) -> None:
        """Wait a little for the answers to what is under way, so that as few calls as can be stay in doubt."""
        deadline = self._clock.monotonic() + STOP_SECONDS
        while (self._under_way or self._unmarked) and self._clock.monotonic() < deadline:
            try:
                self._judge(self._collect(0.2))
                self._write(outbox)
            except OutboxError as error:
                log.error("%s", error)
                break
        self._destination.close()
        self._write_late(outbox)
        self._sayings.end()

    def _write_late(self, outbox: Outbox) -> None:
        """What was answered at the last moment. What failed then, failed because it was cut, and just waits."""
        self._judge([one for one in self._collect(0) if isinstance(one[1], Answer | Refused)])
        try:
            self._write(outbox)
        except OutboxError as error:
            log.error("%s", error)


def _mark(due: Due | Lost, state: str, now: float, answer: Answer, error: str, again: float | None = 0.0) -> Mark:
    test = isinstance(due, Due) and due.test
    return Mark(due.id, state, now, again, answer.status, answer.text, error, test)
