"""Calls as both Master.csv and a Cdr event tell them, and what was recorded of them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.kit.host import RECORDED

AMI = RECORDED / "ami"
MASTER = RECORDED / "Master-full.csv"
LOGGED_IN = b"Message: Authentication accepted\r\n\r\n"
ZONE = ZoneInfo("UTC")
"""That of the host on which the recordings were made."""
HEADERS = {
    "AccountCode": "accountcode",
    "Source": "src",
    "Destination": "dst",
    "DestinationContext": "dcontext",
    "CallerID": "clid",
    "Channel": "channel",
    "DestinationChannel": "dstchannel",
    "LastApplication": "lastapp",
    "LastData": "lastdata",
    "StartTime": "start",
    "AnswerTime": "answer",
    "EndTime": "end",
    "Duration": "duration",
    "BillableSeconds": "billsec",
    "Disposition": "disposition",
    "AMAFlags": "amaflags",
    "UniqueID": "uniqueid",
    "UserField": "userfield",
}
BARE = ("duration", "billsec")
Columns = dict[str, bytes]


def played(name: str) -> bytes:
    """What a recorded connection received behind the answer to its login."""
    _, _, events = (AMI / name).read_bytes().partition(LOGGED_IN)
    return events


def call(number: int, **changed: bytes) -> Columns:
    """The ``number``-th of a series of calls that have just ended."""
    end = datetime.now(UTC).astimezone(ZONE) + timedelta(seconds=5)
    columns = {
        "accountcode": b"",
        "src": b"101",
        "dst": b"%d" % number,
        "dcontext": b"from-internal",
        "clid": b'"Desk 101" <101>',
        "channel": b"PJSIP/101-%08x" % number,
        "dstchannel": b"",
        "lastapp": b"Dial",
        "lastdata": b"PJSIP/202,12",
        "start": _stamp(end - timedelta(seconds=10)),
        "answer": _stamp(end - timedelta(seconds=8)),
        "end": _stamp(end),
        "duration": b"10",
        "billsec": b"8",
        "disposition": b"ANSWERED",
        "amaflags": b"DOCUMENTATION",
        "uniqueid": b"1795194393.%d" % number,
        "userfield": b"",
    }
    return columns | changed


def _stamp(moment: datetime) -> bytes:
    return moment.strftime("%Y-%m-%d %H:%M:%S").encode()


def event(columns: Columns, before: bytes = b"", after: bytes = b"") -> bytes:
    """As cdr_manager writes it; ``before`` and ``after`` are other headers around its own."""
    own = b"".join(b"%s: %s\r\n" % (header.encode(), columns[column]) for header, column in HEADERS.items())
    return b"Event: Cdr\r\nPrivilege: cdr,all\r\n" + before + own + after + b"\r\n"


def line(columns: Columns) -> bytes:
    """As cdr_csv writes it, with the uniqueid and the userfield."""
    cells = [columns[column] if _bare(column, columns) else _quoted(columns[column]) for column in HEADERS.values()]
    return b",".join(cells) + b"\n"


def _bare(column: str, columns: Columns) -> bool:
    return column in BARE or (column in ("answer", "end") and not columns[column])


def _quoted(value: bytes) -> bytes:
    return b'"' + value.replace(b'"', b'""') + b'"'


def events(*numbers: int) -> bytes:
    return b"".join(event(call(number)) for number in numbers)
