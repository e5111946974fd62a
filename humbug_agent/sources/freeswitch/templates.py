"""What a row of mod_cdr_csv's Master.csv is, for each stock template and for the one that we recommend.

Columns are named after the channel variables in the template. A row is what the template begins with, its columns with
`","` between them, and what it ends with. The ``middle`` columns have a form of their own, by which a row is found;
most of those before and behind (``head``, ``tail``) hold any text, for nothing is escaped.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

BETWEEN = b'","'

_STAMP = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_UUID = rb'(?!(?i:documentation|billing|omit|default|unknown|\d)")[\w.:@+-]{8,80}'
"""Also one that somebody set with origination_uuid. What stands there in an asterisk row, its amaflags, is none."""
_CAUSE = rb"[A-Z][A-Z0-9_]{0,63}"
_CODEC = rb"[\w.+-]{0,32}"
_NUMBER = rb"-?\d{1,10}"
_UEPOCH = rb"\d{1,16}"

FORMS = {
    "start_stamp": _STAMP,
    "answer_stamp": rb"(?:" + _STAMP + rb")?",
    "end_stamp": _STAMP,
    "start_uepoch": _UEPOCH,
    "answer_uepoch": _UEPOCH,
    "end_uepoch": _UEPOCH,
    "duration": _NUMBER,
    "billsec": _NUMBER,
    "hangup_cause": _CAUSE,
    "hangup_cause_q850": rb"\d{0,10}",
    "originate_disposition": rb"(?:" + _CAUSE + rb")?",
    "last_bridge_hangup_cause": rb"(?:" + _CAUSE + rb")?",
    "amaflags": rb"[A-Za-z]*|\d",
    "uuid": _UUID,
    "bleg_uuid": rb"(?:" + _UUID + rb")?",
    "originating_leg_uuid": rb"(?:" + _UUID + rb")?",
    "signal_bond": rb"(?:" + _UUID + rb")?",
    "direction": rb"(?:inbound|outbound)",
    "read_codec": _CODEC,
    "write_codec": _CODEC,
    "network_addr": rb"[0-9A-Fa-f.:]*",
    "sip_gateway_name": rb"[\w.+@-]*",
}
"""The columns that have one."""

_LINE = rb'[^"\r\n]*'


@dataclass(frozen=True, kw_only=True)
class Template:
    name: str
    head: tuple[str, ...] = ()
    middle: tuple[str, ...]
    tail: tuple[str, ...] = ()
    begin: bytes = b'"'
    gap: bytes = BETWEEN
    """Between the middle and the tail."""
    end: bytes = b'"\n'

    @property
    def columns(self) -> tuple[str, ...]:
        return self.head + self.middle + self.tail

    @cached_property
    def anchor(self) -> bytes:
        """A pattern for the middle, with all the quotes up to the text before and the text behind it."""
        forms = BETWEEN.join(b"(" + FORMS.get(name, _LINE) + b")" for name in self.middle)
        before = BETWEEN if self.head else re.escape(self.begin)
        return before + forms + (self.gap if self.tail else b"(?=" + re.escape(self.end) + b")")

    @cached_property
    def plain(self) -> re.Pattern[bytes]:
        """A whole row in which no text holds a quote, so that its quotes leave no doubt."""
        head = re.escape(self.begin) + _columns(self.head) if self.head else b""
        return re.compile(head + self.anchor + _columns(self.tail) + re.escape(self.end))

    @cached_property
    def beginning(self) -> re.Pattern[bytes]:
        """What a row begins with, as far as it has a form."""
        formed = [FORMS[name] for name in takewhile(FORMS.__contains__, self.head)]
        return re.compile(re.escape(self.begin) + b"".join(form + BETWEEN for form in formed))

    @cached_property
    def ending(self) -> re.Pattern[bytes]:
        """The text from the tail's first column to its last, whatever they hold."""
        return re.compile(BETWEEN.join(FORMS.get(name, rb"(?s:.*)") for name in self.tail))


def _columns(names: tuple[str, ...]) -> bytes:
    return BETWEEN.join(
        b"(" + (_CALLER_ID if name == "caller_id" else FORMS.get(name, b'[^"]*')) + b")" for name in names
    )


_CALLER_ID = rb'"[^"]*" <\2>|\2'
"""mod_cdr_csv makes it of the name and the number, which is the second column; without a name it is the number."""

_WHO = ("caller_id_name", "caller_id_number", "destination_number", "context")
_HOW = ("start_stamp", "answer_stamp", "end_stamp", "duration", "billsec", "hangup_cause", "uuid", "bleg_uuid")
_CODECS = ("accountcode", "read_codec", "write_codec")

_EXAMPLE = Template(name="example", head=_WHO, middle=_HOW, tail=_CODECS)
_DEFAULT = Template(name="default", head=_WHO, middle=_HOW, tail=("accountcode",), gap=b'", "')
_ASTERISK = Template(
    name="asterisk",
    head=(
        "accountcode", "caller_id_number", "destination_number", "context", "caller_id", "channel_name",
        "bridge_channel", "last_app", "last_arg",
    ),
    middle=(*_HOW[:6], "amaflags", "uuid"),
    tail=("userfield",),
)  # fmt: skip
_SQL = Template(
    name="sql", head=_WHO, middle=_HOW, tail=_DEFAULT.tail, gap=_DEFAULT.gap,
    begin=b'INSERT INTO cdr VALUES ("', end=b'");\n',
)  # fmt: skip
_SNOM = Template(
    name="snom", head=_WHO, middle=_HOW, gap=_DEFAULT.gap,
    tail=(*_CODECS, "sip_user_agent", "call_clientcode", "sip_rtp_rxstat", "sip_rtp_txstat", "sofia_record_file"),
)  # fmt: skip
_LINKSYS = Template(name="linksys", head=_WHO, middle=_HOW, tail=(*_CODECS, "sip_user_agent", "sip_p_rtp_stat"))
_OPENCDRRATE = Template(
    name="opencdrrate",
    head=("uuid", "signal_bond", "direction", "ani", "destination_number"),
    middle=("answer_stamp", "end_stamp", "billsec"),
    tail=("accountcode", "userfield", "network_addr", "regex", "sip_gateway_name"),
)
_FALLBACK = Template(name="fallback", head=_ASTERISK.head, middle=_ASTERISK.middle, tail=_ASTERISK.tail, end=b'";')
_SAFE = Template(
    name="safe",
    middle=(
        "uuid", "originating_leg_uuid", "bleg_uuid", "direction", "start_uepoch", "answer_uepoch", "end_uepoch",
        "duration", "billsec", "hangup_cause", "hangup_cause_q850", "originate_disposition",
        "last_bridge_hangup_cause", "caller_id_name", "caller_id_number", "destination_number", "context",
        "accountcode",
    ),
)  # fmt: skip

TEMPLATES = {
    template.name: template
    for template in (
        _EXAMPLE, _DEFAULT, _ASTERISK, _SQL, _SNOM, _LINKSYS, _OPENCDRRATE, _FALLBACK, _SAFE,
    )
}  # fmt: skip
