"""A number is the same number in the digits of any script, with whatever marks a copy of it brings along."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.numbers.e164 import e164
from humbug_agent.numbers.outside import Sought
from humbug_agent.numbers.plain import folded, plain
from tests.kit.scripts import bare, hands

NUMBERS = st.from_regex(r"(\+49 ?|0049|0)\(?30\)?[ /-]?[1-9][0-9]{2} ?[0-9]{2}[.-]?[0-9]{2}", fullmatch=True)
COUNTRIES = st.sampled_from([None, "DE", "US"])


@given(NUMBERS, hands(), COUNTRIES)
def test_what_is_written_otherwise_is_the_same_number(number: str, hand: dict[int, str], country: str | None) -> None:
    written = number.translate(hand)
    assert plain(written) == plain(number) == bare(written)
    if e164(number, country) != number:
        assert e164(written, country) == e164(number, country)
    sought = Sought(number, country)
    assert Sought(written, country).forms == sought.forms
    assert sought.stands_in(f"call {written}!")
    assert not sought.stands_in(f"call {written}1!".translate(hand))


def test_every_digit_of_unicode_is_one() -> None:
    digits = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isdecimal()]
    assert len(digits) > 600
    assert all(folded(one) == str(unicodedata.decimal(one)) for one in digits)


@given(st.text())
def test_no_other_text_changes(text: str) -> None:
    kept = [one for one in text if unicodedata.category(one) != "Cf"]
    assert len(folded(text)) == len(kept)
    changed = [one for one, now in zip(kept, folded(text), strict=True) if one != now]
    assert not [one for one in changed if one.isascii() or one.isalpha()]
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("+41 (44) 555-01 23", "+41445550123"),
        ("044/555 01 23", "0445550123"),
        ("(044) 5550123", "0445550123"),
        ("+41 (0)44 555 01 23", "+41445550123"),
        ("0041(0) 44 555 01 23", "0041445550123"),
        ("+39 (0)6 1234567", "+39061234567"),
        ("(0)44 555 01 23", "0445550123"),
        ("192.168.1.10", "192.168.1.10"),
        ("101-102", "101-102"),
        ("(", "("),
        ("", ""),
    ],
)
def test_what_parts_a_number_is_left_out(number: str, found: str) -> None:
    assert plain(number) == found
