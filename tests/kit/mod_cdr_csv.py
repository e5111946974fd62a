"""A model of FreeSWITCH's mod_cdr_csv: rows of any template, from what a channel's variables hold."""

import os
import re
from pathlib import Path

from tests.kit.paths import DATA

_WHO = '"${caller_id_name}","${caller_id_number}","${destination_number}","${context}",'
_HOW = (
    '"${start_stamp}","${answer_stamp}","${end_stamp}","${duration}","${billsec}","${hangup_cause}","${uuid}",'
    '"${bleg_uuid}",'
)
_ASTERISK = (
    '"${accountcode}","${caller_id_number}","${destination_number}","${context}","${caller_id}","${channel_name}",'
    '"${bridge_channel}","${last_app}","${last_arg}","${start_stamp}","${answer_stamp}","${end_stamp}","${duration}",'
    '"${billsec}","${hangup_cause}","${amaflags}","${uuid}","${userfield}"'
)
_SAFE = (DATA / "freeswitch/csv/custom-safe-template/template.txt").read_text().strip()

TEXTS = {
    "example": _WHO + _HOW + '"${accountcode}","${read_codec}","${write_codec}"\n',
    "default": _WHO + _HOW + ' "${accountcode}"\n',
    "sql": "INSERT INTO cdr VALUES (" + _WHO + _HOW + ' "${accountcode}");\n',
    "snom": _WHO + _HOW + ' "${accountcode}","${read_codec}","${write_codec}","${sip_user_agent}",'
    '"${call_clientcode}","${sip_rtp_rxstat}","${sip_rtp_txstat}","${sofia_record_file}"\n',
    "linksys": _WHO + _HOW + '"${accountcode}","${read_codec}","${write_codec}","${sip_user_agent}",'
    '"${sip_p_rtp_stat}"\n',
    "asterisk": _ASTERISK + "\n",
    "fallback": _ASTERISK + ";",
    "opencdrrate": '"${uuid}","${signal_bond}","${direction}","${ani}","${destination_number}","${answer_stamp}",'
    '"${end_stamp}","${billsec}","${accountcode}","${userfield}","${network_addr}","${regex}",'
    '"${sip_gateway_name}"\n',
    "safe": _SAFE + "\n",
}
STOCK = [name for name in TEXTS if name != "safe"]

Values = dict[str, bytes]

CALL: Values = {
    "caller_id_name": b"Bob",
    "caller_id_number": b"1001",
    "destination_number": b"8201",
    "context": b"public",
    "accountcode": b"",
    "start_stamp": b"2026-11-20 16:51:01",
    "answer_stamp": b"2026-11-20 16:51:03",
    "end_stamp": b"2026-11-20 16:51:08",
    "start_uepoch": b"1795193461190756",
    "answer_uepoch": b"1795193463000001",
    "end_uepoch": b"1795193468999999",
    "duration": b"7",
    "billsec": b"5",
    "hangup_cause": b"NORMAL_CLEARING",
    "hangup_cause_q850": b"16",
    "direction": b"inbound",
    "read_codec": b"PCMU",
    "write_codec": b"PCMU",
    "last_app": b"bridge",
    "last_arg": b"sofia/internal/8201@127.0.0.1:25071",
    "sip_user_agent": b"Linksys/SPA942-6.1.5(a)",
    "network_addr": b"127.0.0.1",
    "regex": b"false",
}


def uuid(number: int) -> bytes:
    return b"%08x-1030-4748-b4ac-6b4e411ea46b" % number


def call(number: int = 1, /, **changed: bytes) -> Values:
    """What a channel's variables hold when it hangs up."""
    values = CALL | {"uuid": uuid(number)} | changed
    name, caller = values["caller_id_name"], values["caller_id_number"]
    derived = {
        "caller_id": b'"%s" <%s>' % (name, caller) if name else caller,
        "ani": caller,
        "channel_name": b"sofia/internal/%s@127.0.0.1" % caller,
        "bridge_channel": b"sofia/internal/%s@127.0.0.1:25071" % values["destination_number"],
    }
    return derived | values


def row(template: str, values: Values) -> bytes:
    """The record as mod_cdr_csv writes it: nothing is escaped."""
    return written(TEXTS[template], values)


def rows_of(text: str, *calls: Values) -> bytes:
    """Of a template that is in no list."""
    return b"".join(written(text, values) for values in calls)


def written(text: str, values: Values, *, decoded: bool = False) -> bytes:
    """``decoded``: the values have been through url_encode already. A template has a line's end, or gets one."""
    raw = re.sub(
        rb"\$\{url_encode\(\$\{(\w+)\}\)\}",
        lambda found: values.get(found[1].decode(), b"") if decoded else url_encode(values.get(found[1].decode(), b"")),
        text.encode(),
    )
    raw = re.sub(rb"\$?\$\{(?:(\w+)|[^{}]*(?:\{[^{}]*\}[^{}]*)*)\}", lambda found: _expanded(found, values), raw)
    return raw if raw.endswith((b"\n", b";")) and not raw.endswith(b");") else raw + b"\n"


def _expanded(found: re.Match[bytes], values: Values) -> bytes:
    """What an API says is the same for each call here."""
    return values.get(found[1].decode(), b"") if found[1] else b"2026-11"


def url_encode(value: bytes) -> bytes:
    """FreeSWITCH's own. What looks encoded already is left as it is; the blanks around an argument are lost."""
    return re.sub(
        rb"%(?![0-9A-F]{2})|[\r\n #&+:;<=>?@\[\\\]^`{|}\"\x00-\x1f\x7f-\xff]",
        lambda found: b"%%%02X" % found[0][0],
        value.strip(b" "),
    )


def rows(template: str, *numbers: int) -> bytes:
    """One for every number, which is also who was called."""
    return b"".join(row(template, call(number, destination_number=b"%d" % number)) for number in numbers)


class Module:
    """Writes to Master.csv as the module does: through a file that it keeps open, one write a row."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def write(self, data: bytes) -> None:
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(self._file, data)

    def reopen(self) -> None:
        """What HUP does with rotate-on-hup=false."""
        self.close()
        self.write(b"")

    def rotate(self, stamp: str) -> None:
        """What HUP does with rotate-on-hup=true."""
        self._path.rename(self._path.with_name(f"{self._path.name}.{stamp}"))
        self.reopen()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None
