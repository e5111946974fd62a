"""Numbers as other scripts and other software write them: judged here in another way than the agent does."""

import re
import unicodedata

from hypothesis import strategies as st

_ZEROS = "0٠۰०๐０𝟬"
_SIGNS = {"+": "+＋", "-": "-\u2011–−", " ": " \u00a0\u202f", "(": "(（", ")": ")）", "/": "/／", ".": ".．"}
_UNSEEN = ("", "", "\u202a", "\u200e", "\u2060", "\u00ad")


@st.composite
def hands(draw: st.DrawFn) -> dict[int, str]:
    """By which somebody writes digits and what stands between them: for str.translate. Most write ASCII."""
    zero = ord(draw(st.sampled_from("000" + _ZEROS)))
    unseen = draw(st.sampled_from(_UNSEEN)) if zero != ord("0") else ""
    table = {ord("0") + digit: chr(zero + digit) + unseen * (digit % 3 == 0) for digit in range(10)}
    if zero != ord("0"):
        table |= {ord(sign): draw(st.sampled_from(ways)) for sign, ways in _SIGNS.items()}
    return table


def bare(text: str) -> str:
    """Without anything that may stand between two digits, which are those of ASCII."""
    found = ""
    for char in text:
        same = unicodedata.normalize("NFKC", char)
        one = same if len(same) == 1 else char
        if unicodedata.category(one) not in ("Cf", "Pd", "Zs") and not re.match(r"[./()\u2212-]", one):
            found += str(digit) if (digit := unicodedata.decimal(one, -1)) >= 0 else one
    return found
