"""Outside numbers: which they are, their forms, and where one stands in a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.numbers.e164 import e164
from humbug_agent.numbers.outside import Sought, canonical, is_outside


@pytest.mark.parametrize(
    ("number", "country", "outside"),
    [
        ("+41441234567", None, True),
        ("0041441234567", None, True),
        ("0441234567", None, True),
        ("2125551234", None, True),
        ("101", None, False),
        ("204512", None, False),
        ("112", "DE", False),
        ("0112", None, False),
        ("1700000000123456", None, False),
        # Andorra's have six digits.
        ("712345", None, False),
        ("712345", "AD", True),
    ],
)
def test_which_numbers_are_outside(number: str, country: str | None, outside: bool) -> None:
    assert is_outside(number, country) is outside


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ('"Anna" <+49301234567>', True),
        ("SIP/trunk/0049301234567", True),
        ("49301234567", True),
        ("0301234567", True),
        ("90301234567", True),
        ("00301234567", True),
        ("900493012345 67", True),
        ("030 / 123 45 67", True),
        ("+49 (30) 123-4567", True),
        ("+49 (0)30 1234567", True),
        ("0049 (0) 30/123 45 67", True),
        ("PJSIP/0301234567-0000000e", True),
        # Others' numbers, and none.
        ("03012345678", False),
        ("0301234568", False),
        ("+390301234567", False),
        ("00390301234567", False),
        ("+43301234567", False),
        ("1234567", False),
        ("301234567", True),
        ("101", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("said", ["+49 30 1234567", "0049301234567", "030/1234567", "+49 (0)30 1234567"])
def test_where_a_number_stands(said: str, text: str, there: bool) -> None:
    assert Sought(said, "DE").stands_in(text) is there


def test_without_a_country_the_forms_with_a_country_are_known() -> None:
    sought = Sought("+49301234567", None)
    assert sought.forms == ("49301234567",)
    assert all(map(sought.stands_in, ("0049301234567", "+49301234567", "49301234567", "90049301234567")))
    assert not sought.stands_in("0301234567")
    assert Sought("0301234567", None).stands_in("<0301234567>")


@pytest.mark.parametrize("said", ["", "101", "Anna", "+49x", "00000", "12 34", "+0001234"])
def test_what_is_no_number(said: str) -> None:
    with pytest.raises(ValueError, match="is no outside number"):
        Sought(said, "DE")


def test_of_a_number_with_hidden_digits_the_rest_is_made_international() -> None:
    assert e164("0301234xxx", "DE") == "49301234xxx"
    assert e164("+49301234xxx", None) == "49301234xxx"
    assert e164("0301234xxx", None) == "0301234xxx"
    assert e164("max", "DE") == "max"


@given(st.text(alphabet="0123456789+ -/().", max_size=20), st.sampled_from([None, "DE", "US", "IT"]))
def test_whatever_is_looked_at_is_looked_at(text: str, country: str | None) -> None:
    assert Sought("+49301234567", country).stands_in(f"{text}<+49301234567>")
    canonical(text or "1", country)
