"""What a row of mod_cdr_csv's Master.csv is, for each stock template, for the one that we recommend, and for others.

Columns are named after the channel variables in the template. A row is what the template begins with, its columns with
a gap between each two (`","` in all stock ones), and what it ends with. The ``middle`` columns have forms of their own,
by which a row is found; most of those before and behind (``head``, ``tail``) hold any text, for nothing is escaped.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, takewhile

from humbug_agent.sources.freeswitch.csv.template_text import parsed

BETWEEN = b'","'

_STAMP = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_UUID = rb'(?!(?i:documentation|billing|omit|default|unknown|\d)")[\w.:@+-]{8,80}'
"""Also one that somebody set with origination_uuid. What stands there in an asterisk row, its amaflags, is none."""
_CAUSE = rb"[A-Z][A-Z0-9_]{0,63}"
_CODEC = rb"(?:[A-Za-z][\w.+-]{0,31})?"
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
    """A template as rows are read by it."""

    name: str
    head: tuple[str, ...] = ()
    middle: tuple[str, ...]
    tail: tuple[str, ...] = ()
    begin: bytes = b'"'
    gap: bytes = BETWEEN
    """Between the middle and the tail, in a template that has `","` between all others."""
    other_gaps: tuple[bytes, ...] = ()
    """Between each two columns, in one that has not."""
    end: bytes = b'"\n'
    forms: Mapping[str, bytes] = field(default_factory=lambda: FORMS)
    encoded: frozenset[str] = frozenset()
    """The columns that it has through url_encode."""

    @property
    def columns(self) -> tuple[str, ...]:
        return self.head + self.middle + self.tail

    @cached_property
    def gaps(self) -> tuple[bytes, ...]:
        """Behind each column, the last one's is what the row ends with."""
        before_tail = len(self.head) + len(self.middle) - 1
        stock = (self.gap if at == before_tail else BETWEEN for at in range(len(self.columns) - 1))
        return (*(self.other_gaps or stock), self.end)

    @cached_property
    def ends(self) -> bytes:
        """A pattern for what a row ends with: who copies a file through Windows has a CR before each LF."""
        return re.escape(self.end[:-1]) + rb"\r?\n" if self.end.endswith(b"\n") else re.escape(self.end)

    def without_end(self, text: bytes) -> bytes | None:
        """A row without what it ends with; None where it does not end so."""
        ends = (self.end[:-1] + b"\r\n", self.end) if self.end.endswith(b"\n") else (self.end,)
        return next((text[: -len(end)] for end in ends if text.endswith(end)), None)

    @cached_property
    def anchor(self) -> bytes:
        """A pattern for the middle, with all that stands up to the text before and the text behind it."""
        first, last = len(self.head), len(self.head) + len(self.middle) - 1
        before = self.gaps[first - 1] if self.head else self.begin
        forms = (b"(" + self.forms.get(self.columns[at], _LINE) + b")" for at in range(first, last + 1))
        behind = re.escape(self.gaps[last]) if self.tail else b"(?=" + self.ends + b")"
        return re.escape(before) + _joined(forms, self.gaps[first:last]) + behind

    @cached_property
    def middle_alone(self) -> re.Pattern[bytes]:
        """The middle, whether or not there are columns before and behind it."""
        forms = BETWEEN.join(b"(?:" + self.forms.get(name, _LINE) + b")" for name in self.middle)
        return re.compile(rb"(?:\A|" + BETWEEN + rb")(?P<middle>" + forms + rb")(?=\Z|" + re.escape(self.gap) + b")")

    @cached_property
    def plain(self) -> re.Pattern[bytes]:
        """A whole row in which no text holds what a gap begins with, so that its gaps leave no doubt."""
        count = len(self.columns)
        head, tail = range(len(self.head)), range(len(self.head) + len(self.middle), count)
        before = re.escape(self.begin) + self._texts(head) if head else b""
        return re.compile(before + self.anchor + self._texts(tail) + self.ends)

    def _texts(self, columns: range) -> bytes:
        patterns = (b"(" + self._plain_text(at) + b")" for at in columns)
        return _joined(patterns, self.gaps[columns.start : columns.stop - 1])

    def _plain_text(self, at: int) -> bytes:
        name = self.columns[at]
        if name != "caller_id":
            return self.forms.get(name, _without(self.gaps[at]))
        # mod_cdr_csv makes it of the name and the number; without a name it is the number.
        before = self.columns[:at]
        number = b"\\%d" % (before.index("caller_id_number") + 1) if "caller_id_number" in before else rb"[^\r\n<>]*"
        return b'"[^"]*" <(?:%b)>|%b' % (number, number if number[:1] == b"\\" else _without(self.gaps[at]))

    @cached_property
    def beginning(self) -> re.Pattern[bytes]:
        """What a row begins with, as far as it has a form."""
        formed = list(takewhile(self.forms.__contains__, self.head))
        patterns = (b"(?:%b)" % self.forms[name] + re.escape(gap) for name, gap in zip(formed, self.gaps, strict=False))
        return re.compile(re.escape(self.begin) + b"".join(patterns))

    def can_begin(self, data: bytes, at: int, middle: int) -> bool:
        """Whether what stands from ``at`` to a middle is enough for the columns before it, and maybe for more."""
        before = self.gaps[len(self.head) - 1] if self.head else self.begin
        begin = self.beginning.search(data, at, middle + len(before))
        place = begin.end() if begin else -1
        for gap in self._gaps_to_come if begin else ():
            found = data.find(gap, place, middle)
            if found < 0:
                return False
            place = found + len(gap)
        return place >= 0

    @cached_property
    def _gaps_to_come(self) -> tuple[bytes, ...]:
        """Those between what a row begins with and its middle's own."""
        formed = len(list(takewhile(self.forms.__contains__, self.head)))
        return self.gaps[formed : max(0, len(self.head) - 1)]

    @cached_property
    def ending(self) -> re.Pattern[bytes]:
        """The text from the tail's first column to its last, whatever they hold."""
        first = len(self.head) + len(self.middle)
        forms = (self.forms.get(name, rb"(?s:.*)") for name in self.tail)
        return re.compile(_joined((b"(?:" + form + b")" for form in forms), self.gaps[first:-1]))

    def form(self, name: str) -> re.Pattern[bytes] | None:
        return self._compiled.get(name)

    @cached_property
    def _compiled(self) -> dict[str, re.Pattern[bytes]]:
        return {name: re.compile(self.forms[name]) for name in self.columns if name in self.forms}


def _joined(patterns: Iterable[bytes], gaps: Iterable[bytes]) -> bytes:
    return b"".join(pattern + re.escape(gap) for pattern, gap in zip(patterns, (*gaps, b""), strict=False))


def _without(gap: bytes) -> bytes:
    """A text between quotes may have line breaks in it."""
    return b'[^"]*' if gap[:1] == b'"' else b"[^" + re.escape(gap[:1]) + rb"\r\n]*"


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
    encoded=frozenset(("caller_id_name", "caller_id_number", "destination_number", "context", "accountcode")),
)  # fmt: skip

TEMPLATES = {
    template.name: template
    for template in (
        _EXAMPLE, _DEFAULT, _ASTERISK, _SQL, _SNOM, _LINKSYS, _OPENCDRRATE, _FALLBACK, _SAFE,
    )
}  # fmt: skip

_EPOCH = rb"\d{1,11}"
_LENGTH = rb"-?\d{1,16}"
_MORE_FORMS = {
    "_stamp": rb"(?:" + _STAMP + rb")?",
    "_uepoch": rb"\d{0,17}",
    "_epoch": rb"\d{0,11}",
    "_time": rb"\d{0,17}",
}
"""By how a variable's name ends that a stock template has not."""

_OTHER_FORMS = {
    **FORMS,
    **dict.fromkeys(("start_epoch", "end_epoch"), _EPOCH),
    **dict.fromkeys(("created_time", "hangup_time"), _UEPOCH),
    **dict.fromkeys(("mduration", "uduration", "billmsec", "billusec"), _LENGTH),
}

_WEIGHTS = {
    "_stamp": 5,
    "_uepoch": 5,
    "_epoch": 4,
    "_time": 4,
    "uuid": 3,
    "hangup_cause": 2,
    "duration": 1,
    "billsec": 1,
}
"""How little any text is like a column of a name that ends like this."""


def of(template: str) -> Template:
    """The template of agent.ini's ``template``: a name, or the template's own text. Raises ValueError."""
    return TEMPLATES[template] if template in TEMPLATES else _of_text(template)


def _of_text(text: str) -> Template:
    said = parsed(text)
    forms = {name: form for name in said.columns if (form := _form(name))}
    for at, name in enumerate(said.columns):
        if name in said.encoded:
            forms[name] = _without(said.literals[at + 1]).replace(b'"]', rb'"\r\n]')
    first, last = _middle([name in forms and name != "caller_id" for name in said.columns], said.columns)
    return Template(
        name="in agent.ini",
        head=said.columns[:first],
        middle=said.columns[first:last],
        tail=said.columns[last:],
        begin=said.literals[0],
        other_gaps=said.literals[1:-1],
        end=said.literals[-1],
        forms=forms,
        encoded=said.encoded,
    )


def _form(name: str) -> bytes | None:
    if name in _OTHER_FORMS:
        return _OTHER_FORMS[name]
    return next((form for ending, form in _MORE_FORMS.items() if name.endswith(ending)), None)


def _middle(formed: list[bool], columns: tuple[str, ...]) -> tuple[int, int]:
    """From where to where the columns with a form stand together that no text looks like."""
    runs = [[*group] for is_formed, group in groupby(range(len(columns)), formed.__getitem__) if is_formed]
    best = max(runs, key=lambda run: sum(_weight(columns[at]) for at in run))
    return best[0], best[-1] + 1


def _weight(name: str) -> int:
    return next((weight for ending, weight in _WEIGHTS.items() if name.endswith(ending)), 0)
