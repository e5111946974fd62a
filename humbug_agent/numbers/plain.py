"""Telephone numbers in plain ASCII, whichever script and software wrote them: that is how they are judged.

A digit may be Arabic-Indic or full-width, a blank one that breaks no line, a dash a long one; and copied numbers bring
marks along that can't be seen. Source of what a character is: Unicode, its categories and values of digits.
"""

import re
import unicodedata

PARTING = str.maketrans("", "", " ./()-")
"""Without what people put between the digits."""

_AT_HOME = re.compile(r"(?<=[1-9])(?<!39) ?\(0\)(?=[ ./-]?[1-9])")
"""The 0 of +41 (0)44 …, which nobody dials behind the country; in Italy (+39) it is a part of the number."""

_SIGNS = "+./()"
_MINUS = "\N{MINUS SIGN}"


class _Ascii(dict[int, str]):
    """For str.translate: each character as the one of ASCII that it is in a number, else itself; none for a mark."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        kind, compatible = unicodedata.category(char), unicodedata.normalize("NFKC", char)
        if (digit := unicodedata.digit(char, -1)) >= 0:
            made = str(digit)
        elif kind == "Cf":
            made = ""
        elif kind == "Zs":
            made = " "
        elif kind == "Pd" or char == _MINUS:
            made = "-"
        else:
            made = compatible if len(compatible) == 1 and compatible in _SIGNS else char
        self[code] = made
        return made


_ASCII = _Ascii()


def folded(text: str) -> str:
    """The same text with digits and what stands between them in ASCII, and without marks that can't be seen.

    Whatever is left is one character for each of the text's.
    """
    return text if text.isascii() else text.translate(_ASCII)


def plain(number: str) -> str:
    """A number without what people put between its digits, which a + or a 0 before them gives away; else `folded`."""
    number = folded(number)
    if not number.startswith(("+", "0", "(")):
        return number
    return _AT_HOME.sub("", number).translate(PARTING) or number
