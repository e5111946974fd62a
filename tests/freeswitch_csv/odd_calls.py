"""Calls with whatever a caller, a dialplan or a directory can put into their texts."""

from hypothesis import strategies as st
from mod_cdr_csv import Values, call

_PIECES = [
    b'"', b",", b'","', b"\n", b"\r\n", b'"\n"', b'"\n', b'","","', b"\\", b"ab", b"y", b"7", b"1001", b" ", b";",
    b'";"', b'");\n', b'INSERT INTO cdr VALUES ("', "ü".encode(), b"\xfc", b"%41", b"%2", b"<>", b'" <1001>',
    b'"PCMU","PCMU"', b'"2026-11-20 16:51:01"', b'","2026-11-20 16:51:01","","2026-11-20 16:51:01","0","0","',
    b'"NORMAL_CLEARING"', b'"00000001-1030-4748-b4ac-6b4e411ea46b"',
]  # fmt: skip

_MIDDLE = (
    b'","2026-11-20 16:51:01","","2026-11-20 16:51:01","0","0","NORMAL_CLEARING",'
    b'"0000beef-1030-4748-b4ac-6b4e411ea46b","","'
)
"""The middle of a row. A whole one, with what stands before and behind it, would be a row."""

texts = st.lists(st.sampled_from(_PIECES), max_size=6).map(b"".join)
numbers = st.sampled_from([b"1001", b"+447700900123", b"anonymous", b"er,x", b"", b"82;phone=1", b'a"b', b"1\n2"])
"""FreeSWITCH cuts a number that comes in at a quote. In the others `","` is tried with what a caller dials."""

FREE = ("caller_id_name", "destination_number", "context", "accountcode", "userfield", "sip_user_agent")


@st.composite
def calls(draw: st.DrawFn, number: int = 1) -> Values:
    values = {
        "caller_id_name": draw(texts | st.just(b"L" * 5000)),
        "caller_id_number": draw(numbers),
        "destination_number": draw(numbers | texts),
        "context": draw(st.just(b"public") | texts),
        "accountcode": draw(st.just(b"") | st.just(b"ACME") | texts),
        "userfield": draw(st.just(b"") | texts),
        "sip_user_agent": draw(st.just(b"") | st.just(b"Linksys/SPA942-6.1.5(a)") | texts),
    }
    if draw(st.integers(0, 5)) == 0:
        values[draw(st.sampled_from(FREE))] = _MIDDLE
    if draw(st.booleans()):
        values |= {"answer_stamp": b"", "answer_uepoch": b"0", "billsec": b"0"}
    return call(number, **values)
