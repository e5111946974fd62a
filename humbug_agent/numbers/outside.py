"""Outside numbers in texts: which they are, what is the same number in another form, and where one stands.

A number is written with its country behind ``+``, ``00`` or what else that country dials, or as a national one; perhaps
behind what a PBX dials first for a line, and with what people put between the digits.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from humbug_agent.numbers.e164 import e164
from humbug_agent.numbers.plain import PARTING, folded, plain

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

LEAST = 5
"""Digits of an outside number. Whatever has fewer is an extension, or a service such as 112."""

PLAIN = 7
"""Digits of one that neither a + nor a 0 before it gives away."""

LONGEST = 15
"""Digits of one with its country. Source: ITU-T E.164."""

BETWEEN = r"[ ./()\-]*"
"""What people put between the digits."""


def is_outside(number: str, country: str | None) -> bool:
    """Whether these digits, perhaps behind a ``+``, are no extension. ``country`` is the PBX's, where it is said.

    Something else may stand right behind those that begin with a + or a 0.
    """
    digits = number.removeprefix("+")
    if len(digits) < LEAST:
        return False
    return number[0] in "+0" or PLAIN <= len(digits) <= LONGEST or e164(number, country) != number


@lru_cache(maxsize=8192)
def canonical(number: str, country: str | None) -> str:
    """The same digits for each form of a number; of a national one only where ``country`` is said."""
    full = e164(number, country)
    return full[2:] if full == number and full.startswith("00") and len(full) > PLAIN else full


@lru_cache(maxsize=8192)
def core(number: str, country: str | None) -> str:
    """The digits with which every form of a number ends.

    Its country may stand before it without any sign: what may be one is left out.
    """
    full = canonical(number, country).lstrip("0")
    parsed = _parsed(full)
    return str(parsed.national_number) if parsed else full


class Sought:
    """One number, to be found in texts in whatever form it stands there. ``said`` is what an admin wrote.

    Raises ValueError where that is none.
    """

    def __init__(self, said: str, country: str | None) -> None:
        number = plain(said.strip()).translate(PARTING)
        if not re.fullmatch(r"\+?[0-9]+", number) or len(number.removeprefix("+")) < LEAST:
            raise ValueError(f"{said!r} is no outside number: it needs {LEAST} digits or more, such as +41441234567")
        self._country = country
        self.number = canonical(number, country)
        self._national = _national(self.number, country)
        self._core = core(self.number, country)
        if len(self._core) < LEAST:
            raise ValueError(f"{said!r} is no outside number: it needs {LEAST} digits or more behind its zeros")
        self._pattern = re.compile(rf"(?:\+{BETWEEN})?(?:[0-9]{BETWEEN})*?{BETWEEN.join(self._core)}(?![0-9])")
        self._run = re.compile(rf"\+?[0-9]*{self._core}(?![0-9])")

    @property
    def forms(self) -> tuple[str, ...]:
        """Its digits with the country, and as a national number, where that is known."""
        return tuple(dict.fromkeys(one for one in (self.number, self._national) if one))

    def stands_in(self, text: str) -> bool:
        text = folded(text)
        if self._core not in text and self._core not in text.translate(PARTING):
            return False
        found = [one[0] for one in self._run.finditer(text)]
        found += [plain(one[0]).translate(PARTING) for one in self._pattern.finditer(text)]
        return any(map(self._is_it, found))

    def _is_it(self, run: str) -> bool:
        full = canonical(run, self._country)
        if full == self.number or run.startswith("+"):
            return full == self.number
        # What is no number by itself may be this one, with something dialled before it. What is one is another's.
        known = e164(run, self._country) != run
        return not known and any(run.endswith(form) for form in self.forms)


def _national(number: str, country: str | None) -> str:
    """As it is dialled within ``country``; blank where that is not known, or it is another country's."""
    if country is None or (parsed := _parsed(number)) is None:
        return ""
    import phonenumbers

    if phonenumbers.country_code_for_region(country) != parsed.country_code:
        return ""
    return re.sub(r"\D", "", phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL))


def _parsed(full: str) -> "PhoneNumber | None":
    """A number with its country; None where no country has so long ones."""
    # As in e164.
    import phonenumbers

    try:
        parsed = phonenumbers.parse(f"+{full}", None)
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.is_possible_number(parsed) else None
