"""Telephone numbers: E.164 for those that are outside numbers, whatever the PBX wrote."""

import re
from functools import lru_cache

from humbug_agent.numbers.plain import plain

_INTERNATIONAL = re.compile(r"\+[0-9]{5,}")
_DIGITS = re.compile(r"[0-9]{5,}")
_HIDDEN = re.compile(r"(?<=[0-9])x+$")


@lru_cache(maxsize=8192)
def e164(number: str, country: str | None) -> str:
    """``number`` as E.164 without its ``+`` when it is a full international number; else as it is.

    With ``country`` (ISO 3166, such as CH) national numbers of that country, and numbers behind its international
    prefix, are made international too. An extension stays what it is. Of a number that ends with ``x`` in the place of
    digits that are hidden it is the same.
    """
    digits = plain(number)
    if hidden := _HIDDEN.search(digits):
        shown = digits[: hidden.start()] + "0" * len(hidden[0])
        found = e164(shown, country)
        return number if found == shown else found[: -len(hidden[0])] + hidden[0]
    if _INTERNATIONAL.fullmatch(digits):
        return digits[1:]
    if country is None or not _DIGITS.fullmatch(digits):
        return number
    # 25 ms and 3 MB that a host without this setting need not pay.
    import phonenumbers

    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    if metadata and metadata.national_prefix == "0" and len(digits) < 8 and not digits.startswith("0"):
        # As dialled, a national number has its 0: without one, and so short, it is an extension.
        return number
    try:
        parsed = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return number
    if not phonenumbers.is_valid_number(parsed):
        return number
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))[1:]
