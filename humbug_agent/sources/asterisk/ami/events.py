"""An AMI event, as the bytes between two blank lines -> the columns of a CDR, or the fields of a notice.

cdr_manager writes its headers in one order and escapes nothing, so a line break within a value begins what looks like
another header. Taken apart by that order, a value keeps its line breaks; where one holds a line like the next header,
nobody can tell where it ends, and the event is none that can be understood. Behind these headers are those that an
admin has mapped in cdr_manager.conf, by any names.

Source of the format: recorded from Asterisk 16 and 22 (cdr_manager), whose values equal those of Master.csv. Since
Asterisk 1.2 it has been the same.
"""

import re
from collections.abc import Iterator, Mapping

from humbug_agent.listening.ami.messages import CDR
from humbug_agent.text import AUTO, carried, text

_HEADERS = {
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
_MARKS = [(f"\r\n{header}:".encode(), column) for header, column in _HEADERS.items()]

# The columns that hold what somebody else than Asterisk wrote, but for the last two.
_FREE = ("accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "amaflags")

CLASSES = {"cdr": "cdr", "reload": "system", "shutdown": "system", "alarm": "system"}
"""What agent.ini calls events -> the class that manager.conf's read must have for them, and the login asks for."""

NOTICES = {"reload": ("Reload",), "shutdown": ("Shutdown",), "alarm": ("Alarm", "AlarmClear")}
"""The same words -> AMI's names of these events."""

# What an admin may have mapped in cdr_manager.conf, by the names that Master.csv has for it.
_MAPPED = ("linkedid", "sequence", "peeraccount")

_NAME = re.compile(rb"[A-Za-z0-9_-]+")
_NEXT_CDR = re.compile(rb"\r\n(?=Event: Cdr)")
_NEXT = re.compile(rb"\r\n(?=Event: |Response: )")
_TORN = re.compile(rb"[^\n]Event: Cdr\r\nPrivilege: ")


def cdr_events(block: bytes) -> list[bytes]:
    """The Cdr events in a block: more than one where there is no blank line between them.

    A line like the beginning of one ends an event only where that is complete. It may be made up by a value, and then
    what stands behind is none that can be understood; if that has the last headers of a Cdr event, these may be the
    true ones of the event before, and the two stay together.
    """
    found: list[bytes] = []
    begin = 0
    for line_end in _NEXT_CDR.finditer(block):
        if _is_complete(block[begin : line_end.start()]):
            found.append(block[begin : line_end.start()])
            begin = line_end.end()
    last = block[begin:]
    if found and _ends_like_one(last) and not _is_complete(last):
        return [*found[:-1], found[-1] + b"\r\n" + last]
    return [*found, last]


def _is_complete(event: bytes) -> bool:
    try:
        call_columns(event)
    except ValueError:
        return False
    return True


def _ends_like_one(lines: bytes) -> bool:
    _, _, behind = lines.partition(b"\r\nUniqueID:")
    return b"\r\nUserField:" in behind


def call_columns(block: bytes, charset: str = AUTO) -> dict[str, str]:
    """The columns of a Cdr event, as Master.csv names them, `carried`. Raises ValueError with what is wrong."""
    return told(block, charset)[0]


def told(block: bytes, charset: str = AUTO) -> tuple[dict[str, str], dict[str, str]]:
    """The same, and what else an admin has mapped in it, by the header's own name.

    What a stock header is called is that already.
    """
    columns, rest = _columns(block, charset)
    others = {}
    for header, value in _mapped(rest):
        if (column := header.lower()) in _MAPPED:
            columns[column] = carried(value, charset)
        elif header not in _HEADERS:
            others[header] = text(value, charset)
    return columns, others


def _columns(block: bytes, charset: str) -> tuple[dict[str, str], bytes]:
    """Of the stock headers, `carried`, and the lines behind them."""
    if not block.startswith(b"Event: Cdr\r\n"):
        raise ValueError("it does not begin like a Cdr event, and has lines that only a Cdr event has")
    values: dict[str, bytes] = {}
    rest = block
    before = ""
    for mark, column in _MARKS:
        value, found, rest = rest.partition(mark)
        if not found:
            raise ValueError(f"it has no {mark.decode().strip()} where a Cdr event has one")
        values[before] = value
        before = column
    if CDR in values[""][1:]:
        raise ValueError("another Cdr event begins before its AccountCode")
    if _TORN.search(rest):
        raise ValueError("another Cdr event begins in the midst of a line: where its values end can't be told")
    values["userfield"], _, rest = rest.partition(b"\r\n")
    del values[""]
    for column, value in values.items():
        if b"\r\n" in value and any(mark in value for mark, _ in _MARKS):
            raise ValueError(f"its {column} has a line like a header of its own: where it ends can't be told")
    if _ends_like_one(b"\r\n" + rest) and _is_made_up(values, rest):
        raise ValueError("it has another UniqueID and UserField behind its own: where its values end can't be told")
    columns = {column: carried(value.removeprefix(b" "), charset) for column, value in values.items()}
    return columns, _NEXT.split(b"\r\n" + rest)[0]


def _is_made_up(values: Mapping[str, bytes], rest: bytes) -> bool:
    """Whether a value may have made up all headers behind it: Asterisk's own then come in ``rest``, in their order, and
    say something else. Those that an admin has mapped once more say the same, or are not all of them.
    """
    lines = [line.partition(b":") for line in rest.split(b"\r\n")]
    again = [(_HEADERS[text(header)], value.strip()) for header, _, value in lines if text(header) in _HEADERS]
    for column in _FREE:
        behind = [*_HEADERS.values()][[*_HEADERS.values()].index(column) + 1 :]
        coming = iter(column for column, _ in again)
        if all(column in coming for column in behind):
            return any(values[column].strip() != value for column, value in again if column in behind)
    return False


def _mapped(lines: bytes) -> Iterator[tuple[str, bytes]]:
    for line in lines.split(b"\r\n"):
        header, colon, value = line.partition(b":")
        if colon and _NAME.fullmatch(header):
            yield text(header), value.removeprefix(b" ")


def fields(block: bytes, charset: str = AUTO) -> dict[str, str]:
    """The headers of any other event, without its name and the class it belongs to."""
    found: dict[str, str] = {}
    for line in block.split(b"\r\n"):
        header, colon, value = line.partition(b":")
        if colon and _NAME.fullmatch(header) and header not in (b"Event", b"Privilege"):
            found.setdefault(text(header), text(value.removeprefix(b" "), charset))
    return found
