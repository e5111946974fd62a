"""What APIs ask a store of calls, and which of it takes a look at how many calls."""

from collections.abc import Iterator
from dataclasses import replace

from humbug_agent.call_store.contract import Wanted

DAY = Wanted(since=0.0, until=86400.0)
"""To be moved to a day of which there are calls."""

AT_ONCE = {
    "all": Wanted(),
    "day": DAY,
    "day and number": replace(DAY, number="03121"),
    "day of a tenant": replace(DAY, tenants=("t1",)),
    "number": Wanted(number="03121"),
    "number of a tenant": Wanted(number="03121", tenants=("t1",)),
    "uniqueid": Wanted(uniqueids=("1.1", "7.7")),
    "linkedid": Wanted(linkedids=("1.1", "7.7")),
}
"""An index has them, or their time has few calls."""

COUNTED = {
    "tenant": Wanted(tenants=("t1",)),
    "month": replace(DAY, until=31 * 86400.0),
    "day and direction": replace(DAY, directions=("inbound",)),
    "day and part": replace(DAY, part="0312"),
    "day and hours": replace(DAY, hours=(0, 3600)),
}
"""An index has the tenant's, or those of that time; each of them is looked at for the first page."""

SEEN = {
    "direction": Wanted(directions=("inbound",)),
    "status": Wanted(dispositions=("ANSWERED",)),
    "part": Wanted(part="99"),
    "source": Wanted(src="99"),
    "destination": Wanted(dst="99"),
    "hours": Wanted(hours=(8 * 3600, 9 * 3600)),
    "what the PBX said": Wanted(said=(("external_id", ("1",)),)),
    "whether it said so": Wanted(has=((("recording_file",), True),)),
}
"""All calls there are must be looked at: no index has them."""

WALKED = {
    "tenant by starts": Wanted(tenants=("t1", "t2")),
    "tenant by ends": Wanted(tenants=("t1",), ended_since=0.0, ended_until=86400.0),
    "number": Wanted(number="03121"),
    "number of a tenant": Wanted(number="03121", tenants=("t1",)),
}
"""What getCDR and call_range ask for, which have no pages."""


def on(first: float, wanted: Wanted) -> Wanted:
    """The same, ten days after the ``first`` call began."""
    names = ("since", "until", "ended_since", "ended_until")
    at = {name: value + first + 10 * 86400 for name in names if (value := getattr(wanted, name)) is not None}
    return replace(wanted, **at)


def scans(plan: list[str]) -> Iterator[str]:
    """The steps of a plan of SQLite's that look at all calls; those that are none of a PBX's are few."""
    for step in plan:
        if step.startswith("SCAN calls") and "calls_other_events" not in step:
            yield step


def scans_postgresql(plan: list[str]) -> Iterator[str]:
    """The same of a plan of PostgreSQL's."""
    for step, after in zip(plan, [*plan[1:], ""], strict=True):
        whole = "Index Cond" not in after and "Recheck Cond" not in after
        if " on calls" in step and "Scan" in step and whole:
            yield step
