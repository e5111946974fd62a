"""Calls with whatever a caller, a dialplan or a directory can put into their texts; what of that nobody can tell."""

import re

from hypothesis import strategies as st

from humbug_agent.sources.freeswitch.csv.templates import BETWEEN, TEMPLATES
from tests.kit.mod_cdr_csv import Values, call, row

_STAMP = b"2026-11-20 16:51:01"
_HOW = b'"%b","","%b","0","0","NORMAL_CLEARING",' % (_STAMP, _STAMP)
_UUID = b"0000beef-1030-4748-b4ac-6b4e411ea46b"
_MIDDLES = [b'","%b"%b","",%b"' % (_HOW, _UUID, gap) for gap in (b"", b" ")]
_MIDDLES += [b'","%b"","%b","' % (_HOW, _UUID), b'","","%b","0","' % _STAMP]
"""Of the example's kind, of default's, asterisk's and opencdrrate's."""

_PIECES = [
    b'"', b",", b'","', b"\n", b"\r\n", b'"\n"', b'"\n', b'","","', b"\\", b"ab", b"y", b"7", b"1001", b" ", b";",
    b'";"', b'");\n', b'INSERT INTO cdr VALUES ("', "ü".encode(), b"\xfc", b"%41", b"%2", b"<>", b'" <1001>',
    b'"PCMU","PCMU"', b'"PCMU","PCMU"\n"', b'","PCMU","PCMU', b'", "', b'"2026-11-20 16:51:01"', _HOW,
    b'","2026-11-20 16:51:01","","2026-11-20 16:51:01","0","0","', b'"NORMAL_CLEARING"', b'"%b"' % _UUID,
    b'","1001","8201","public', b'","1001","8201","public",""x" <1001>","sofia/x","","bridge","y', b"alice",
    b'%b","","inbound","1001","82' % _UUID, b'","127.0.0.1","false","', *_MIDDLES,
    *(middle + b'","PCMU","PCMU"\n"' for middle in _MIDDLES),
]  # fmt: skip

texts = st.lists(st.sampled_from(_PIECES), max_size=6).map(b"".join)
numbers = st.sampled_from([b"1001", b"+447700900123", b"anonymous", b"er,x", b"", b"82;phone=1", b"alice"]) | texts.map(
    lambda number: number.replace(BETWEEN, b'"')
)
"""FreeSWITCH cuts a number that comes in at its quotes. In the others `","` is tried with what a caller dials."""

_SOME = ("userfield", "sip_user_agent", "last_arg", "call_clientcode", "sip_p_rtp_stat", "sofia_record_file")


@st.composite
def calls(draw: st.DrawFn, number: int = 1) -> Values:
    values = {
        "caller_id_name": draw(st.just(b"Bob") | texts | st.just(b"L" * 5000)),
        "caller_id_number": draw(numbers.filter(lambda said: BETWEEN not in said)),
        "destination_number": draw(st.just(b"8201") | texts),
        "context": draw(st.just(b"public") | texts),
        "accountcode": draw(st.just(b"") | st.just(b"ACME") | texts),
    }
    values |= {name: draw(texts) for name in _SOME if not draw(st.integers(0, 3))}
    if draw(st.booleans()):
        values |= {"answer_stamp": b"", "answer_uepoch": b"0", "billsec": b"0"}
    if draw(st.booleans()):
        values |= {"bleg_uuid": b"0000feed-1030-4748-b4ac-6b4e411ea46b"}
    return call(number, **values)


def nobody_can_tell(template: str, values: Values) -> bool:
    """Whether the call's row is, byte for byte, what other calls would have left.

    It is two calls' rows when a row ends and another begins in it, with a row's middle before that and one behind it.
    It is a row that a full disk cut short, and the whole row behind it, when what it begins with stands there twice.
    A row of default may have any text behind the middle, also one that makes it a plain row of snom.
    """
    written = row(template, values)
    twice = (
        quote.start()
        for quote in re.finditer(b'"', written[: len(written) // 2 + 1])
        if written.startswith(written[: quote.start()], quote.start())
    )
    return (
        bool(_TWO.search(written))
        or any(written.count(BETWEEN, 0, length) >= 2 for length in twice)
        or (template == "default" and bool(TEMPLATES["snom"].plain.fullmatch(written)))
    )


def _any(patterns: list[bytes]) -> bytes:
    return b"(?:" + b"|".join(dict.fromkeys(patterns)) + b")"


_MIDDLE = _any([one.anchor for one in TEMPLATES.values()])
_ENDS = _any([re.escape(one.end) for one in TEMPLATES.values()])
_BEGINS = _any([re.escape(one.begin) for one in TEMPLATES.values()])
_TWO = re.compile(b"(?s)" + _MIDDLE + b".*" + _ENDS + _BEGINS + b".*" + _MIDDLE)
