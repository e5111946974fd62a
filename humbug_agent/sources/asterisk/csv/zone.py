"""Which clock a Master.csv's times are of: the PBX's zone, or UTC where cdr.conf has usegmtime=yes.

Asterisk writes wall-clock times without a zone. What tells them apart is the uniqueid: it begins with the second, in
UTC, in which the channel was made, perhaps behind a system name (``pbx1-1795194557.3``). A record's start is at most
minutes behind that second; read by the wrong clock it is hours away. Over a change of the zone's clock the duration
tells as much: it is end minus start by one of the two alone. A single record proves nothing (the second record
of a call that has lasted an hour begins an hour behind its uniqueid), so a file is judged by what most of its records
say, and anew where enough of them in a row say something else: cdr.conf was changed.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate, pairwise

from humbug_agent.sources.asterisk.csv.plain import Plain, Stamps
from humbug_agent.sources.wall_clock import UNIQUEID, is_left_out

NEAR_SECONDS = 900
"""How far behind its uniqueid a record may start, and how long ago a record just written may have ended (cdr.conf's
batch mode holds records for five minutes). No zone is nearer to UTC than this, but for those that are UTC."""

SLACK_SECONDS = 5
"""By which a start may stand before its uniqueid: a clock that was corrected in between."""

DAY_SECONDS = 86400
"""A uniqueid that is further away is none of Asterisk's making."""

LATE = 1.0
"""What a record tells that would begin long after its channel was made: the second one of a long call does."""

EARLY = 3.0
"""What one tells that would begin before its channel was made, at a time that no clock ever showed, or that would have
lasted for another time than it says; or that would end after its file was last written to. It can't be."""

SWITCH = 2.5
"""What it takes to believe that cdr.conf was changed: three records that would be late, or one that can't be."""

REMEMBERED = 64
"""Uniqueids. All records of a channel but its first tell nothing new; they stand near each other."""

NEW_FILE = 1.5
"""The same at the beginning of a file, where the file before says less."""

JUST_WRITTEN = 3.0
"""What a file tells that is being written to, and the end of its last record: more than a change takes."""

WRITTEN = 2.0
"""The same of a file that rests, and would have been written to long after that: it may be a copy, so it takes a
uniqueid beside it, or the same once more."""


class Clock(StrEnum):
    """Whose clock a record's times are of."""

    UTC = "utc"
    LOCAL = "local"

    @property
    def other(self) -> "Clock":
        return Clock.LOCAL if self is Clock.UTC else Clock.UTC


@dataclass(frozen=True, slots=True)
class Written:
    """When a file was last written to, in seconds since the epoch; ``just``: within the last minute."""

    at: float
    just: bool


class Judge:
    """Judges record after record of a log. ``zone`` is the PBX's; ``clock`` what was found until now, None: nothing."""

    def __init__(self, zone: tzinfo, clock: Clock | None = None) -> None:
        self._zone = zone
        self.clock = clock
        # What speaks against each clock.
        self._against = {Clock.UTC: 0.0, Clock.LOCAL: 0.0}
        if clock:
            self._against[clock.other] = SWITCH
        self._seen: deque[str] = deque(maxlen=REMEMBERED)
        self._last: Stamps | None = None

    def new_file(self) -> None:
        """What comes is of another file."""
        self._last = None
        if self.clock:
            self._against = {self.clock: 0.0, self.clock.other: NEW_FILE}

    def remember(self, records: Sequence[Stamps]) -> None:
        """These came before: what follows may be of the same channels."""
        self._seen.extend(record.uniqueid for record in records)
        self._last = records[-1] if records else None

    def settle(self, clock: Clock) -> None:
        """Something else has told the clock."""
        self.clock = clock
        self._against = {clock: 0.0, clock.other: SWITCH}

    def judge(
        self, records: Sequence[Stamps], written: Written | None, *, more: bool
    ) -> tuple[list[Clock] | None, int]:
        """The clock of each record, None where nothing tells it yet; and of how many of them it is sure.

        ``written`` is given where the last of them is the last of its file. With ``more`` to come, those at the end
        that may be the first ones of another clock are left to be judged with what comes.
        """
        before = (self.clock, dict(self._against), self._seen.copy())
        last = self._last, self.clock
        votes = [self._vote(record) for record in records]
        if records and written and (written.just or self.clock or any(votes)):
            votes[-1] = _sum(votes[-1], self._by_end(records[-1], written))
        if self.clock is None and not any(votes):
            return None, len(records)
        clocks = self._most_likely(votes)
        sure = len(records)
        if more and 0 < (turn := _turn(votes, clocks[-1])) < sure:
            self.clock, self._against, self._seen = before
            return self.judge(records[:turn], None, more=False)
        self._last = records[-1] if records else self._last
        clocks = self._by_order(records, votes, clocks, last)
        return self._by_neighbours(records, votes, clocks), sure

    def _by_order(
        self,
        records: Sequence[Stamps],
        votes: Sequence[dict[Clock, float]],
        clocks: list[Clock],
        last: tuple[Stamps | None, Clock | None],
    ) -> list[Clock]:
        """Where records without a uniqueid stand before a change: which of them are of the new clock already.

        Calls are written as they end. So it changed where their ends jump least; where that makes no difference that
        counts, with the first record that tells. ``last`` is the record before these, and its clock.
        """
        for number in range(1, len(records)):
            first, clock, old = number, clocks[number], clocks[number - 1]
            if clock is old:
                continue
            while first and not votes[first - 1] and not UNIQUEID.fullmatch(records[first - 1].uniqueid):
                first -= 1
            begin = self._end(records[first - 1], old) if first else self._end(*last)
            olds, news = ([self._end(one, each) for one in records[first : number + 1]] for each in (old, clock))
            if first < number and begin and all(olds) and all(news):
                turn = first + _least(begin[0], [end[0] for end in olds], [end[0] for end in news])
                clocks[turn:number] = [clock] * (number - turn)
        return clocks

    def _by_neighbours(
        self, records: Sequence[Stamps], votes: Sequence[dict[Clock, float]], clocks: list[Clock]
    ) -> list[Clock]:
        """Where cdr.conf was changed for a few records and back: too few to be believed by what they tell alone.

        Calls are written as they end. So what stands between two records that tell the clock that was found for them
        ended between these two; where that is so by the other clock alone, it is of that.
        """
        found = list(clocks)
        sure = [number for number, vote in enumerate(votes) if vote and clocks[number] not in vote]
        for before, after in pairwise(sure):
            between = range(before + 1, after)
            ends = [self._end(records[number], clocks[number]) for number in (before, after)]
            if not all(ends) or not any(votes[number] for number in between):
                continue
            low, high = min(ends[0]) - NEAR_SECONDS, max(ends[1]) + NEAR_SECONDS
            for number in between:
                fits = {clock: any(low <= end <= high for end in self._end(records[number], clock)) for clock in Clock}
                if fits[clocks[number].other] and not fits[clocks[number]]:
                    found[number] = clocks[number].other
        return found

    def _end(self, record: Stamps | None, clock: Clock | None) -> tuple[float, ...]:
        utc, local = moments(record.end if record else "", self._zone)
        return utc if clock is Clock.UTC else local

    def is_usual(self, records: Sequence[Plain], written: Written | None) -> bool:
        """Whether these records are of the clock that was found, and nothing speaks against that; ``written`` as above.

        Where none was found it is local time, as long as that is UTC. `judge` would say the same, in ten times as long.
        If not, nothing is changed.
        """
        if not self.clock and any(record.offset for record in records):
            return False
        seen, found, other = self._seen.copy(), self.clock, 0.0
        among = set(seen)
        if found:
            other = self._against[found.other]
        for record in records:
            vote: dict[Clock, float] = {}
            uniqueid = record.columns[16]
            if uniqueid and uniqueid not in among and (made := UNIQUEID.fullmatch(uniqueid)):
                if len(seen) == REMEMBERED:
                    among.discard(seen[0])
                seen.append(uniqueid)
                among.add(uniqueid)
                if record.offset:
                    vote = _vote_of(record.begun - int(made[1]), record.offset)
            if found and written and record is records[-1]:
                local = record.ended - record.offset
                vote = _sum(vote, self._against_the_far((record.ended,), (local,), written))
            if vote and found:
                if found in vote:
                    return False
                other = min(other, SWITCH) + vote[found.other]
        self._seen = seen
        if found and records:
            self._against = {found: 0.0, found.other: min(other, SWITCH)}
            self._last = records[-1].stamps()
        return True

    def judge_rest(self, record: Stamps, written: Written) -> Clock | None:
        """What the end of a file's last record tells, where nothing else does."""
        against = self._by_end(record, written)
        return next((clock for clock in Clock if against and clock not in against), None)

    def _most_likely(self, votes: Sequence[dict[Clock, float]]) -> list[Clock]:
        """The clocks that the fewest votes and changes speak against (Viterbi)."""
        came: list[dict[Clock, Clock]] = []
        against = dict(self._against)
        for vote in votes:
            before, step = against, {}
            against = {}
            for clock in Clock:
                # Where a record tells nothing, it goes with the one before it.
                stay, change = before[clock], before[clock.other] + (SWITCH if vote else math.inf)
                # Where both cost the same it changed as late as can be.
                step[clock] = clock if stay < change else clock.other
                against[clock] = min(stay, change) + vote.get(clock, 0.0)
            came.append(step)
        clock = min(Clock, key=lambda one: (against[one], one != self.clock, one != Clock.LOCAL))
        self.clock = clock
        least = min(against.values())
        self._against = {one: min(cost - least, SWITCH) for one, cost in against.items()}
        found = []
        for step in reversed(came):
            found.append(clock)
            clock = step[clock]
        return found[::-1]

    def _vote(self, record: Stamps) -> dict[Clock, float]:
        return _sum(self._by_uniqueid(record), self._by_duration(record))

    def _by_duration(self, record: Stamps) -> dict[Clock, float]:
        """What the duration speaks against, where the zone's clock was set between start and end, by one of the two."""
        try:
            seconds = float(record.duration)
        except ValueError:
            return {}
        starts, ends = (moments(stamp, self._zone) for stamp in (record.start, record.end))
        fits = {
            clock: any(abs(end - start - seconds) <= SLACK_SECONDS for start in begun for end in ended)
            for clock, begun, ended in zip(Clock, starts, ends, strict=True)
        }
        if fits[Clock.UTC] == fits[Clock.LOCAL]:
            return {}
        return {clock: EARLY for clock in Clock if not fits[clock]}

    def _by_uniqueid(self, record: Stamps) -> dict[Clock, float]:
        """What the uniqueid speaks against; nothing, where it was there before."""
        made = UNIQUEID.fullmatch(record.uniqueid)
        if not made or record.uniqueid in self._seen:
            return {}
        self._seen.append(record.uniqueid)
        utc, local = moments(record.start, self._zone)
        return _vote_by(_kind(utc, int(made[1])), _kind(local, int(made[1])))

    def _by_end(self, record: Stamps, written: Written) -> dict[Clock, float]:
        return self._against_the_far(*moments(record.end, self._zone), written)

    def _against_the_far(self, utc: Sequence[float], local: Sequence[float], written: Written) -> dict[Clock, float]:
        """Only one of two that lie apart can be near."""
        low, high = written.at - NEAR_SECONDS, written.at + NEAR_SECONDS
        near = [any(low <= moment <= high for moment in ends) for ends in (utc, local)]
        if near[0] == near[1]:
            return {}
        far, ends = (Clock.UTC, utc) if near[1] else (Clock.LOCAL, local)
        if written.just:
            return {far: JUST_WRITTEN}
        return {far: EARLY if all(moment > high for moment in ends) else WRITTEN}


@lru_cache(maxsize=4096)
def _vote_of(behind: float, offset: int) -> dict[Clock, float]:
    """What a uniqueid speaks against: the start is so long behind it in UTC, and the zone's clock was by ``offset``
    before that."""
    return _vote_by(_kind((behind,), 0), _kind((behind - offset,), 0))


def _vote_by(utc: str, local: str) -> dict[Clock, float]:
    found = {Clock.UTC: utc, Clock.LOCAL: local}
    for clock, kind in found.items():
        if kind != found[clock.other] and {kind, found[clock.other]} <= {"near", "late", "early"}:
            if kind == "early":
                return {clock: EARLY if found[clock.other] == "near" else LATE}
            if kind == "late" and found[clock.other] == "near":
                return {clock: LATE}
    return {}


def _kind(starts: Sequence[float], made: int) -> str:
    """How a start that may be any of these moments stands to the second in which its channel was made."""
    behind = [moment - made for moment in starts]
    if any(-SLACK_SECONDS <= seconds <= NEAR_SECONDS for seconds in behind):
        return "near"
    if any(NEAR_SECONDS < seconds <= DAY_SECONDS for seconds in behind):
        return "late"
    return "early" if all(seconds >= -DAY_SECONDS for seconds in behind) else "far"


def matters(stamp: str, zone: tzinfo) -> bool:
    """Whether it makes a difference whose clock a stamp is of."""
    utc, local = moments(stamp, zone)
    return utc != local


@lru_cache(maxsize=4096)
def moments(stamp: str, zone: tzinfo) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The moments (seconds since the epoch) that a stamp can mean in UTC, and in ``zone``.

    None of what is no stamp, nor in ``zone`` of what clocks there never showed, since they were put forward over it.
    """
    try:
        naive = datetime.fromisoformat(stamp).replace(tzinfo=None)
        if not 1900 <= naive.year < 9000:
            return (), ()
        local = {naive.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1)}
    except ValueError:
        return (), ()
    if is_left_out(stamp, zone):
        local = set()
    return ((naive.replace(tzinfo=UTC).timestamp(),), tuple(sorted(local)))


def _turn(votes: Sequence[dict[Clock, float]], clock: Clock) -> int:
    """Where the last records begin of which some speak against ``clock`` and none for it."""
    turn = len(votes)
    for number in range(len(votes) - 1, -1, -1):
        if clock in votes[number]:
            turn = number
        elif votes[number]:
            break
    before = turn
    while before and turn < len(votes) and not votes[before - 1]:
        before -= 1
    # What tells nothing before them may be of the other clock, too.
    return before or turn


def _least(begin: float, olds: Sequence[float], news: Sequence[float]) -> int:
    """From which on to take the new ends, so that they jump least behind ``begin``; the last one is new in any case."""
    late = len(news) - 1
    to_new = [abs(new - old) for new, old in zip(news, [begin, *olds], strict=False)]
    of_olds = list(
        accumulate((abs(old - before) for old, before in zip(olds, [begin, *olds], strict=False)), initial=0.0)
    )
    of_news = list(accumulate((abs(b - a) for a, b in pairwise(news)), initial=0.0))
    costs = [of_olds[turn] + to_new[turn] + of_news[-1] - of_news[turn] for turn in range(len(news))]
    best = min(range(len(news)), key=lambda turn: (costs[turn], -turn))
    return best if costs[best] < costs[late] - NEAR_SECONDS else late


def _sum(one: dict[Clock, float], other: dict[Clock, float]) -> dict[Clock, float]:
    return {clock: one.get(clock, 0.0) + other.get(clock, 0.0) for clock in one | other}
