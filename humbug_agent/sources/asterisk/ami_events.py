"""An AMI event, as the bytes between two blank lines -> the columns of a CDR, or the fields of a notice.

cdr_manager writes its headers in one order and escapes nothing, so a line break within a value begins what looks like
another header. Taken apart by that order, a value keeps its line breaks; where one holds a line like the next header,
nobody can tell where it ends, and the event is none that can be understood.

Source of the format: recorded from Asterisk 16 and 22 (cdr_manager), whose values equal those of Master.csv.
"""

import re

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

CLASSES = {"cdr": "cdr", "reload": "system", "shutdown": "system", "alarm": "system"}
"""What agent.ini calls events -> the class that manager.conf's read must have for them, and the login asks for."""

NOTICES = {"reload": ("Reload",), "shutdown": ("Shutdown",), "alarm": ("Alarm", "AlarmClear")}
"""The same words -> AMI's names of these events."""

# What an admin may have mapped in cdr_manager.conf, by the names that Master.csv has for it.
_MAPPED = ("linkedid", "sequence", "peeraccount")

_NAME = re.compile(rb"[A-Za-z0-9_-]+")


def call_columns(block: bytes, charset: str = AUTO) -> dict[str, str]:
    """The columns of a Cdr event, as Master.csv names them, `carried`. Raises ValueError with what is wrong."""
    values: dict[str, bytes] = {}
    rest = block
    before = ""
    for mark, column in _MARKS:
        value, found, rest = rest.partition(mark)
        if not found:
            raise ValueError(f"it has no {mark.decode().strip()} where a Cdr event has one")
        values[before] = value
        before = column
    values["userfield"], _, rest = rest.partition(b"\r\n")
    del values[""]
    for column, value in values.items():
        if b"\r\n" in value and any(mark in value for mark, _ in _MARKS):
            raise ValueError(f"its {column} has a line like a header of its own: where it ends can't be told")
    if b"\r\nUniqueID:" in b"\r\n" + rest:
        # Whichever value made the UserField up, Asterisk's own UniqueID comes behind it.
        raise ValueError("it has another UniqueID behind its UserField: where its values end can't be told")
    columns = {column: carried(value.removeprefix(b" "), charset) for column, value in values.items()}
    for line in rest.split(b"\r\n"):
        header, colon, value = line.partition(b": ")
        if colon and (column := text(header).lower()) in _MAPPED:
            columns[column] = carried(value, charset)
    return columns


def fields(block: bytes, charset: str = AUTO) -> dict[str, str]:
    """The headers of any other event, without its name and the class it belongs to."""
    found: dict[str, str] = {}
    for line in block.split(b"\r\n"):
        header, colon, value = line.partition(b":")
        if colon and _NAME.fullmatch(header) and header not in (b"Event", b"Privilege"):
            found.setdefault(text(header), text(value.removeprefix(b" "), charset))
    return found
