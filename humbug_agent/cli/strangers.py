"""Texts without what others chose: names, telephone numbers, whatever a caller, a PBX or a receiver wrote.

Nobody can list the names that there are. The words that this program has itself can be listed: what is none of them is
taken for somebody's name. So it matters neither where a text comes from nor what it quotes.
"""

import errno
import os
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent

NAMES = "countries.py"
"""Of the program's own texts, those that are names: Georgia, Jordan, Chad."""

_LIBRARIES = (
    "disk I/O error; database disk image is malformed; database is locked; file is not a database; no such table; "
    "attempt to write a readonly database; Name or service not known; Temporary failure in name resolution; "
    "No address associated with hostname; SSL TLS certificate verify failed: self-signed certificate in certificate "
    "chain, unable to get local issuer certificate, certificate has expired, certificate is not yet valid, "
    "Hostname mismatch, certificate is not valid for; wrong version number; handshake failure; unexpected eof while "
    "reading; CERTIFICATE_VERIFY_FAILED WRONG_VERSION_NUMBER UNEXPECTED_EOF_WHILE_READING; Traceback (most recent call "
    "last); File line in; During handling of the above exception, another exception occurred; The above exception was "
    "the direct cause of the following exception; systemd: Started, Stopped, Starting, Stopping, Reloading, Main "
    "process exited, code=exited, killed, dumped, status, Failed with result, restart counter is at, Scheduled "
    "restart job, Deactivated successfully, Consumed CPU time, start request repeated too quickly; python site "
    "packages lib usr opt"
)
"""What libraries and systemd say, and the program quotes."""

DAYTIME = r"\d\d:\d\d:\d\d(?:[.,]\d{3})?"
_PIECES = re.compile(
    # A time, by any of our clocks.
    rf"(?P<time>(?<![\w.+-])(?:\d{{4}}-\d\d-\d\d(?:[T ]{DAYTIME}(?:[+-]\d\d:?\d\d|Z)?)?|{DAYTIME})(?!\w))"
    # 1,204 of something: no telephone number is written like that.
    r"|(?P<count>(?<![\w,.+])[1-9]\d{0,2}(?:,\d{3})+(?![\w,]))"
    # A number, or several with nothing between them but what people put into a telephone number.
    r"|(?P<number>(?<!\w)\+?\d(?:[\d ./()-]*\d)?(?!\w))"
    r"|(?P<word>\w+)"
)

SHORT = 3
"""Digits of a number that is shown: an HTTP status has so many. An extension may, too."""

PARTED = 7
"""Digits of a telephone number that is written in groups, at least."""


class Strangers:
    """Gives what is not the program's own in a text another name, ``<1>``, ``<2>``: the same one for the same word.

    ``known`` are words and numbers that may be shown all the same.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = {word for one in known for word in re.findall(r"\w+", one)}
        self._names: dict[str, int] = {}

    def __call__(self, text: str) -> str:
        return _PIECES.sub(self._shown, text)

    def _shown(self, found: re.Match[str]) -> str:
        piece = found[0]
        if found.lastgroup in ("time", "count"):
            return piece
        if found.lastgroup == "word":
            return piece if piece in own_words() or piece in self._known else self._named(piece)
        digits = re.sub(r"\D", "", piece)
        if len(digits) >= PARTED and piece not in self._known:
            return self._named(piece)
        return re.sub(r"\d+", lambda run: self._number(run[0]), piece)

    def _number(self, digits: str) -> str:
        return digits if len(digits) <= SHORT or digits in self._known else self._named(digits)

    def _named(self, piece: str) -> str:
        return f"<{self._names.setdefault(piece, len(self._names) + 1)}>"


@cache
def own_words() -> frozenset[str]:
    """The words of all that this program says, of its settings and of its parts; no numbers among them."""
    texts = [
        *(os.strerror(number) for number in errno.errorcode),
        *(path.read_text() for path in PACKAGE.rglob("sample.ini")),
    ]
    for path in PACKAGE.rglob("*.py"):
        texts.append(path.stem)
        if path.name != NAMES:
            texts += _texts(path)
    return frozenset(word for text in texts for word in re.findall(r"\w+", text) if not word.isdecimal())


def _texts(path: Path) -> Iterator[str]:
    """A module's texts but for docstrings, and the names of its functions, errors and fields, as tracebacks have them.

    By the tokens: to take modules apart by ``ast`` fails now and then, in several versions of Python, beside a thread.
    """
    with path.open("rb") as source:
        before, statement = "", ""
        for token in tokenize.tokenize(source.readline):
            if token.type in (tokenize.COMMENT, tokenize.NL):
                continue
            if token.type in _TEXTS and statement:
                # What is no raw text has line breaks of its own in it.
                yield re.sub(r"\\[nrt]", " ", token.string)
            elif before == "def" or (before == "class" and token.string.endswith("Error")):
                yield token.string
            elif token.string == ":" and statement == before:
                # A field, mostly.
                yield statement
            begins = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
            statement = "" if begins else statement or token.string
            before = token.string


_TEXTS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
"""From Python 3.12 on, texts with values in them come in pieces."""
