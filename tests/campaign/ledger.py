"""Judges a campaign: which calls are missing, which came more than once, and whether that could be helped."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rude_proxy import RudeProxy
from writer import FIELDS, Call


@dataclass(frozen=True, slots=True)
class Verdict:
    """``by_kill``: life -> how many calls were repeated because that life was killed, and nothing else was amiss."""

    missing: list[Call]
    surplus: list[Call]
    repeats: int
    in_doubt: int
    """Repeats of calls whose answer was lost, or whose request was under way when the agent was killed."""
    wrong: list[str]
    """Repeats of calls that the agent must have known to be delivered, each with its story."""
    by_kill: Counter[int]


def judge(proxy: RudeProxy, killed: set[int], written: Sequence[Call], stored: Iterable[dict[str, Any]]) -> Verdict:
    """``killed``: the lives that ended by SIGKILL. ``stored``: the rows of the receiver."""
    last = {id(connection.requests[-1]) for connection in proxy.connections if connection.requests}
    accepted = defaultdict(list)
    for request in proxy.requests:
        if request.accepted:
            accepted[request.key].append(request)
    repeats, wrong, by_kill = 0, [], Counter[int]()
    for key, arrivals in accepted.items():
        repeats += len(arrivals) - 1
        for before in arrivals[:-1]:
            if before.told is None:
                continue
            if id(before) in last and before.life in killed:
                by_kill[before.life] += 1
                continue
            story = [
                f"life {r.life} ({'killed' if r.life in killed else 'ended'}) connection {r.connection}.{r.index} "
                f"of {len(proxy.connections[r.connection].requests)} at {r.at:.3f}: {r.did}, told {r.told}"
                for r in arrivals
            ]
            wrong.append(f"{key}: " + " | ".join(story))
    have = Counter(tuple(str(row[name]) for name in FIELDS) for row in stored)
    want = Counter(written)
    return Verdict(
        missing=sorted((want - have).elements()),
        surplus=sorted((have - want).elements()),
        repeats=repeats,
        in_doubt=repeats - len(wrong),
        wrong=wrong,
        by_kill=by_kill,
    )
