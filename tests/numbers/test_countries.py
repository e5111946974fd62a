"""Country names: the vendor's sample lines, every code there is, and whatever a caller ID may hold."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.numbers.countries import COUNTRIES, country_name

CALLING_CODES = {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}

NOT_IN_USE = {"379"}
"""Assigned to Vatican City, which is reached by 39; phonenumbers leaves it out."""


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("99532356420", "Georgia"),
        ("448450043606", "United Kingdom"),
        ("792074279", "Switzerland"),
        ("444557400", "Switzerland"),
        ("688677809010", "Tuvalu"),
        ("6596489564", "Singapore"),
        ("12124611807", "North America and Caribbean"),
        # The same in other dresses.
        ("+99532356420", "Georgia"),
        ("0099532356420", "Georgia"),
        # International however short.
        ("+441234", "United Kingdom"),
        ("004412", "United Kingdom"),
        ("101", "Switzerland"),
        # A national number with its 0 is longer than allowed for, and no country's.
        ("0792074279", ""),
        ("21012345678", ""),
        ("", ""),
        ("+", ""),
        ("00", ""),
        ("++41", ""),
        ("unknown", ""),
        ("anonymous", ""),
        ("+41 44 668 18 00", ""),
        ("٤١٤٤٦٦٨١٨٠٠", ""),
        ("²²²", ""),
    ],
)
def test_a_number_has_the_country_that_the_vendor_would_print(number: str, country: str) -> None:
    assert country_name(number, 9, "Switzerland") == country


def test_every_calling_code_there_is_has_a_name_and_no_other() -> None:
    assert COUNTRIES.keys() == CALLING_CODES | NOT_IN_USE


def test_no_name_breaks_a_line_of_ipps() -> None:
    assert all(name.replace(" ", "").replace("-", "").replace("'", "").isalpha() for name in COUNTRIES.values())
    assert all(name == name.strip() for name in COUNTRIES.values())


def test_no_code_begins_with_another_but_for_the_vaticans() -> None:
    beginnings = {code[:size] for code in COUNTRIES for size in range(1, len(code))}
    assert not beginnings & COUNTRIES.keys()


@given(st.text())
def test_whatever_is_not_a_number_has_no_country(text: str) -> None:
    found = country_name(text, 9, "Switzerland")
    assert found in {"", "Switzerland", *COUNTRIES.values()}
    if not set(text) <= set("+0123456789") or "+" in text[1:]:
        assert found == ""


@given(st.from_regex(r"[0-9]{1,15}", fullmatch=True), st.integers(0, 15))
def test_up_to_the_limit_a_number_is_domestic_and_beyond_it_never(number: str, limit: int) -> None:
    found = country_name(number, limit, "at home")
    if not number.startswith("00"):
        assert (found == "at home") == (len(number) <= limit)
    assert country_name(f"+{number}", limit, "at home") != "at home"
    assert country_name(f"+{number}", limit, "at home") == country_name(f"00{number}", limit, "at home")


@given(st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True))
def test_google_finds_the_same_code(number: str) -> None:
    try:
        code = str(phonenumbers.parse(f"+{number}").country_code)
    except phonenumbers.NumberParseException:
        # Of no country that it knows; 379 is all that we know more.
        code = number[:3] if number[:3] in NOT_IN_USE else ""
    assert country_name(number, 7, "at home") == COUNTRIES.get(code, "")
