"""Calls in which outside numbers and names stand, in whatever form and in whatever field, for tests that hide them."""

import json
from dataclasses import dataclass
from itertools import count

from hypothesis import strategies as st

from humbug_agent.cdr import CDR, Direction
from tests.kit.calls import call
from tests.kit.scripts import bare, hands

COUNTRY = "DE"
NATIONAL = st.from_regex(r"30[1-9][0-9]{6}", fullmatch=True)
"""Of Berlin, without the 0."""

NAMES = st.sampled_from(["Zoë Quendler", "Quyxley-Wrzk", "Ðorđe Żmij", "Dr. Vögtlin (Praxis)", 'Xaver "Xay" Öxle'])

FORMS = (
    "+49{}", "0049{}", "49{}", "0{}", "90049{}", "00{}", "tel:+49{};x=1",
    "PJSIP/+49{}-0000000e", "SIP/trunk/0049{}", "Local/0{}@from-internal-00000012;2", "sip:+49{}@192.0.2.1",
    "in-101-0{}-20260115-120000-1795193882.12.wav", "anna,0{},49{}",
)  # fmt: skip
"""How a number stands in a field, without what people put between its digits."""

PARTED = ("0{0[0]}{0[1]}/{1} {2}", "+49 ({0}) {1}-{2}", "0{0} {1}.{2}")

FIELDS = ("dcontext", "channel", "dstchannel", "lastapp", "lastdata", "accountcode", "userfield")
_numbers = count(1)


@dataclass(frozen=True)
class Private:
    """A call, and what nobody is to know of it: the numbers without their zeros, and the names."""

    cdr: CDR
    numbers: frozenset[str]
    names: frozenset[str]


@st.composite
def private_calls(draw: st.DrawFn) -> Private:
    """One comes in or goes out; its number, and one of somebody else, stand anywhere in it, in digits of any script."""
    number, other, name, hand = draw(NATIONAL), draw(NATIONAL), draw(NAMES), draw(hands())
    written = st.sampled_from(FORMS).map(lambda form: form.format(*[number] * 3))
    parted = st.sampled_from(PARTED).map(lambda form: form.format(number[:2], number[2:5], number[5:]))
    others = st.sampled_from(FORMS).map(lambda form: form.format(*[other] * 3))
    text = st.one_of(
        written, parted, others, st.just(f"call of {name}!"), st.sampled_from(["", "Dial", "PJSIP/204,12"])
    )
    text = text.map(lambda one: one.translate(hand))
    changed = {field: draw(text) for field in FIELDS}
    plain = draw(st.sampled_from(FORMS[:6])).format(number).translate(hand)
    inbound = draw(st.booleans())
    changed |= {"src": plain, "dst": "101"} if inbound else {"src": "101", "dst": plain}
    changed["clid"] = f'"{name}" <{plain if inbound else 101}>'
    extra = {"callee_id_name": name, "note": draw(text), draw(written): draw(others).translate(hand)}
    direction = draw(st.sampled_from([Direction.UNKNOWN, Direction.INBOUND if inbound else Direction.OUTBOUND]))
    made = call(next(_numbers), direction=direction, extra=extra, **changed)
    return Private(made, frozenset((number, other)), frozenset((name,)))


def told(private: Private, heard: bytes) -> list[str]:
    """Which of what nobody is to know is in there, whatever stands between its digits, and as JSON has it, too."""
    digits = bare(heard.decode("utf-8", "replace"))
    names = [name for name in private.names if any(way.encode() in heard for way in (name, json.dumps(name)[1:-1]))]
    return [number for number in private.numbers if number in digits] + names
