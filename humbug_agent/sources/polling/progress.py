"""The cursor of a source that asks window by window: how far each tenant or domain was asked for, and a token."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from humbug_agent.cdr import MOMENTS, digest
from humbug_agent.sources.contract import loaded, whole
from humbug_agent.sources.polling.windows import SWEEPS, Reached, Sweep
from humbug_agent.words import count


@dataclass
class Progress:
    """The cursor of a source that asks window by window.

    ``of`` says which server and account this belongs to; ``token`` is what that server let us in with, or blank.
    """

    of: str
    token: str = ""
    reached: dict[str, Reached] = field(default_factory=dict)

    def dump(self, changes: Mapping[str, Reached] | None = None) -> str:
        """As a cursor; ``changes`` are what it will be once that is on disk."""
        reached = {tenant: asdict(one) for tenant, one in {**self.reached, **(changes or {})}.items()}
        return json.dumps({"of": self.of, **({"token": self.token} if self.token else {}), "reached": reached})


def account(url: str, user: str) -> str:
    """Of a server and whom we are there, whether it is asked over http or https."""
    parts = urlsplit(url)
    return digest(parts.netloc.rpartition("@")[2].lower(), parts.path.rstrip("/"), user).hex()


def remembered(cursor: str | None, of: str, sweeps: int = len(SWEEPS)) -> Progress:
    """Nothing, if the cursor is another server's or account's, or another type of source's. Raises CursorError."""
    return loaded(cursor, lambda found: _progress(found, of, sweeps) if found.get("of") == of else Progress(of))


def _progress(found: dict[str, Any], of: str, sweeps: int) -> Progress:
    token = found.get("token", "")
    if not isinstance(token, str):
        raise ValueError("its token is no text")
    return Progress(of, token, {tenant: reached_of(one, sweeps) for tenant, one in found["reached"].items()})


def anew(cursor: str, of: str, sweeps: int = len(SWEEPS)) -> str | None:
    """The cursor of who begins again where its first start did; None where it is none of ``of``."""
    before = remembered(cursor, of, sweeps)
    reached = {
        tenant: Reached(one.since, one.since, 0, tuple(Sweep(sweep.began) for sweep in one.sweeps))
        for tenant, one in before.reached.items()
    }
    return before.dump(reached) if reached else None


def reached_of(found: dict[str, Any], number: int = len(SWEEPS)) -> Reached:
    """What was written down of it, with so many sweeps. Raises what `loaded` takes for a cursor of somebody else's."""
    sweeps = tuple(Sweep(**{name: whole(name, at, MOMENTS) for name, at in one.items()}) for one in found["sweeps"])
    if len(sweeps) != number:
        raise ValueError(f"it has {count(len(sweeps), 'sweep')}")
    moments = {name: whole(name, at, MOMENTS) for name, at in found.items() if name != "sweeps"}
    return Reached(**moments, sweeps=sweeps)
