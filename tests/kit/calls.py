"""Calls for tests that need some, made by hand; and the calls that records are."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from humbug_agent.cdr import CDR, Batch, Damaged, Disposition, Record, Reject, digest
from humbug_agent.flat import whole
from humbug_agent.outbox.outbox import Due, Lost

START = datetime(2026, 11, 20, 16, 58, 2, tzinfo=UTC)


def call(number: int, **changed: Any) -> CDR:
    """The ``number``-th of a series of different calls."""
    start = START + timedelta(seconds=number)
    values: dict[str, Any] = {
        "identity": digest("call", str(number)),
        "src": str(100 + number % 50),
        "dst": f"+4144{number:07}",
        "dcontext": "from-internal",
        "clid": f'"Desk {number}" <{100 + number % 50}>',
        "channel": f"PJSIP/101-{number:08x}",
        "dstchannel": "",
        "lastapp": "Dial",
        "lastdata": "PJSIP/204,12",
        "start": start,
        "answer": start + timedelta(seconds=3) if number % 2 else None,
        "end": start + timedelta(seconds=10),
        "duration": 10,
        "billsec": 7 if number % 2 else 0,
        "disposition": Disposition.ANSWERED if number % 2 else Disposition.NO_ANSWER,
        "accountcode": "acct",
        "uniqueid": f"1795193882.{number}",
        "userfield": "line\nbreak",
        "linkedid": "",
        "extra": {"amaflags": "DOCUMENTATION"},
    }
    return CDR(**(values | changed))


def batch(*numbers: int, cursor: str | None = "c") -> Batch:
    return Batch([call(number) for number in numbers], [], cursor)


def reject(text: bytes) -> Reject:
    return Reject(digest("reject", text.decode()), text, "has 1 columns", "Master.csv, byte 0")


def cdrs(records: Iterable[Record | Damaged]) -> list[CDR]:
    """The records, each of which must be a call."""
    found = list(records)
    calls = [record for record in found if isinstance(record, CDR)]
    assert len(calls) == len(found), found
    return calls


def records_of(due: Iterable[Due | Lost]) -> list[Record | Damaged]:
    """What is due, of which nothing may be lost."""
    found = list(due)
    assert not [one for one in found if isinstance(one, Lost)], found
    return [whole(one.flat) for one in found if isinstance(one, Due)]
