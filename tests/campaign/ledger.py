"""Judges a campaign: which calls are missing, which came more than once, and whether that could be helped."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tests.campaign.rude_receiver import RudeReceiver
from tests.campaign.writer import FIELDS, Call


@dataclass(frozen=True, slots=True)
class Doubled:
    """``by_kill``: life -> how many calls were repeated because that life was killed, and nothing else was amiss."""

    repeats: int
    wrong: list[str]
    """Repeats of calls that the agent must have known to be delivered, each with its story."""
    by_kill: Counter[int]
    by_cut: int = 0
    """Repeats of calls of which a power cut took what became of them."""
    by_socket: int = 0
    """Repeats of calls whose answer the shim may have kept from the agent: it was the last on its connection."""

    @property
    def in_doubt(self) -> int:
        """Repeats of calls whose answer was lost, or whose request was under way when the agent was killed."""
        return self.repeats - len(self.wrong)


@dataclass(frozen=True, slots=True)
class Verdict:
    missing: list[Call]
    surplus: list[Call]
    doubled: Doubled


def judge(
    receiver: RudeReceiver,
    killed: set[int],
    written: Sequence[Call],
    forgotten: Counter[str] | None = None,
    *,
    sockets_fail: bool = False,
) -> Verdict:
    """``killed``: the lives that ended by SIGKILL. The calls that were ``written`` are compared by FIELDS.

    ``forgotten``: how often power cuts took what had become of a call, by its key. ``sockets_fail``: the shim let them.
    """
    have = Counter(tuple(row[name] for name in FIELDS) for row in receiver.oracle.calls.values())
    want = Counter(written)
    missing, surplus = (sorted(some.elements()) for some in (want - have, have - want))
    return Verdict(missing, surplus, doubled(receiver, killed, forgotten, sockets_fail=sockets_fail))


def doubled(
    receiver: RudeReceiver, killed: set[int], forgotten: Counter[str] | None = None, *, sockets_fail: bool = False
) -> Doubled:
    """Why calls came more than once."""
    forgotten = Counter(forgotten or {})
    last = {id(connection.requests[-1]) for connection in receiver.connections if connection.requests}
    accepted = defaultdict(list)
    for request in receiver.requests:
        for key in request.keys:
            accepted[key].append(request)
    repeats, by_cut, by_socket, wrong, by_kill = 0, 0, 0, [], Counter[int]()
    for key, arrivals in accepted.items():
        repeats += len(arrivals) - 1
        for before in arrivals[:-1]:
            if before.told is None:
                continue
            if id(before) in last and before.life in killed:
                by_kill[before.life] += 1
                continue
            if id(before) in last and sockets_fail:
                by_socket += 1
                continue
            if forgotten[key] > 0:
                forgotten[key] -= 1
                by_cut += 1
                continue
            story = [
                f"life {r.life} ({'killed' if r.life in killed else 'ended'}) connection {r.connection}.{r.index} "
                f"of {len(receiver.connections[r.connection].requests)} at {r.at:.3f}: {r.did}, told {r.told}"
                for r in arrivals
            ]
            wrong.append(f"{key}: " + " | ".join(story))
    return Doubled(repeats, wrong, by_kill, by_cut, by_socket)
