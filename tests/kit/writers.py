"""Models of what writes Master.csv: cdr_csv.c with its buffer, cdr_custom.c with a mapping, and who saves it again."""

from collections.abc import Sequence

BUFFER = 1024
SAMPLE = ["clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "start", "answer", "end"]
SAMPLE += ["duration", "billsec", "disposition", "amaflags", "accountcode", "uniqueid", "userfield", "sequence"]
"""cdr_custom.conf.sample's columns."""


GROWING = {"userfield": 255, "linkedid": 149} | dict.fromkeys(
    ["peeraccount", "accountcode", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "dst"], 79
)
"""Texts, and how many bytes Asterisk has for them."""


def cdr_csv(values: dict[str, bytes]) -> bytes:
    """The record; nothing where Asterisk says that it can't be created in 1,024 bytes."""
    record = b""
    for name, value in values.items():
        if name in ("duration", "billsec", "sequence"):
            record = _append_int(record, value)
        elif name in ("start", "answer", "end"):
            record = _append_date(record, value)
        else:
            record = _append_string(record, value)
    return record[:-1] + b"\n" if len(record) < BUFFER - 5 else b""


def _append_string(record: bytes, value: bytes) -> bytes:
    if len(record) >= BUFFER - 4:
        return record
    record += b'"'
    for at in range(len(value)):
        if len(record) >= BUFFER - 3:
            break
        record += value[at : at + 1].replace(b'"', b'""')
    return record + b'",'


def _append_int(record: bytes, value: bytes) -> bytes:
    return record if len(record) + len(value) > BUFFER - 3 else record + value + b","


def _append_date(record: bytes, value: bytes) -> bytes:
    if len(record) > BUFFER - 3:
        return record
    return _append_string(record, value) if value else record + b","


def quoted(value: bytes) -> bytes:
    return b'"' + value.replace(b'"', b'""') + b'"'


def cdr_custom(values: dict[str, bytes], columns: Sequence[str] = SAMPLE, fraction: bytes = b"") -> bytes:
    """The record of a mapping of these columns; ``fraction`` is behind the durations mapped with `f`."""
    cells = []
    for name in columns:
        value = values[name] + (fraction if name in ("duration", "billsec") else b"")
        cells.append(value if name == "sequence" else quoted(value))
    return b",".join(cells) + b"\n"


def without_sequence(values: dict[str, bytes]) -> dict[str, bytes]:
    return {name: value for name, value in values.items() if name != "sequence"}


def filled(values: dict[str, bytes], length: int) -> dict[str, bytes]:
    """The same with longer texts: ``length`` bytes before its sequence, as far as the texts can grow."""
    values = dict(values)
    for name, most in GROWING.items():
        if name in values:
            missing = length - len(cdr_csv(without_sequence(values)))
            values[name] += b"x" * min(missing, most - len(values[name]))
    return values
