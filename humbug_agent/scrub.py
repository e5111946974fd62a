"""Texts from outside, without the secrets that they may say back: in whatever way they are written there.

What writes a secret is undone, one way after the other, and what is found then is masked where it stood. So it matters
neither which characters are escaped nor how: as JSON, HTML, CSV, a mail or a URL has it, in base64, base32, hexadecimal
or as a list of numbers, in capitals, in UTF-16, on several lines, or one within another.
"""

import base64
import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

MASK = "***"

DEEPEST = 3
"""So many ways of writing within each other."""

LONGEST_CHARACTER = 12
"""How many bytes stand for one of a secret's: %5Cu0041 within a few others."""

LEFT_OUT = 64
"""Bytes at the end of a text that was cut, at least: half of what _HEX knows."""

LEAST = 4
"""Bytes of a secret that is looked for in base64 and the like: of fewer any text has some."""

LEAST_APART = 6
"""The same, where there may be blanks between its characters: two words side by side have some, too."""

CODES_DEEP = 2
"""So many times within each other base64 and the like are read."""

_WINDOWS_1252 = {byte: bytes([byte]).decode("cp1252", "ignore") or byte for byte in range(0x80, 0xA0)}

_HEX = re.compile(rb"[0-9A-Fa-f]{32,}")
"""What is encoded with a secret, signed with it, or a token."""

_APART = re.compile(rb"[\0\t\r\n ]+")
"""What may stand between the characters of one word: as UTF-16 has it, as mails and headers are folded."""


class _Layer(NamedTuple):
    """A text with some of its writing undone. Byte i of ``data`` stood at ``starts[i]`` to ``ends[i]``.

    ``dense``: what may stand between the characters of a word is left out, and with it where words end.
    """

    data: bytes
    starts: list[int]
    ends: list[int]
    dense: bool = False


def _json(said: bytes) -> bytes:
    try:
        meant: str = json.loads(b'"%b"' % said)
    except ValueError:
        # JavaScript, Python, PHP and C have more: \x41, \u{41}, \U00000041, \101 and \'.
        kind = said[1:2]
        if kind in b"01234567":
            return bytes([int(said[1:], 8) & 0xFF])
        if kind in b"xuU":
            number = int(said[2:].strip(b"{}"), 16)
            return bytes([number]) if kind == b"x" else _bytes(chr(number)) if number < 0x110000 else said
        return said[1:]
    return _bytes(meant)


def _html(said: bytes) -> bytes:
    return _bytes(html.unescape(said.decode()))


def _url(said: bytes) -> bytes:
    return bytes.fromhex(said[1:].decode())


def _form(said: bytes) -> bytes:
    return b" " if said == b"+" else _url(said)


def _mail(said: bytes) -> bytes:
    # A line that ends with it goes on.
    return _url(said) if said[1:].isalnum() else b""


def _csv(_: bytes) -> bytes:
    return b'"'


_WAYS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], bytes]], ...] = (
    (
        re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}"
                   rb"|\\x[0-9a-fA-F]{2}|\\u\{[0-9a-fA-F]{1,6}\}|\\U[0-9a-fA-F]{8}|\\[0-7]{3}|\\0(?![0-7])"
                   rb"|\\[\"'\\/bfnrt]"),
        _json,
    ),
    (re.compile(rb"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?"), _html),
    (re.compile(rb"%[0-9a-fA-F]{2}"), _url),
    (re.compile(rb"%[0-9a-fA-F]{2}|\+"), _form),
    (re.compile(rb"=(?:[0-9a-fA-F]{2}|\r?\n)"), _mail),
    (re.compile(rb'""'), _csv),
)  # fmt: skip


_DIGITS = re.compile(rb"[A-Za-z0-9+/_,;:\s-]{6,}")
"""What is written in any of the codes."""


class _Code(NamedTuple):
    """A way to write bytes in digits, each of which stands for so many ``bits``; 0: they are numbers in a list.

    ``read`` takes digits from some place on, as many as there are. At so many places a byte ``begins``, before they
    come again.
    """

    run: re.Pattern[bytes]
    bits: int
    begins: int
    read: Callable[[bytes], bytes]


def _base64(digits: bytes) -> bytes:
    digits = digits.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    return base64.b64decode(digits[: len(digits) - (len(digits) % 4 == 1)] + b"==")


def _base32(digits: bytes) -> bytes:
    digits = digits.rstrip(b"=").upper()
    digits = digits[: len(digits) - (0, 1, 0, 1, 0, 0, 1, 0)[len(digits) % 8]]
    return base64.b32decode(digits + b"=" * (-len(digits) % 8))


def _hex(digits: bytes) -> bytes:
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode())


def _hex_list(said: bytes) -> bytes:
    return _hex(b"".join(re.findall(rb"(?:0[xX])?([0-9a-fA-F]{2})", said)))


def _decimal_list(said: bytes) -> bytes:
    return bytes(int(number) & 0xFF for number in re.findall(rb"[0-9]+", said))


_CODES = (
    _Code(re.compile(rb"[A-Za-z0-9+/_-]{6,}={0,2}"), 6, 4, _base64),
    _Code(re.compile(rb"(?:[A-Z2-7]{7,}|[a-z2-7]{7,})={0,6}"), 5, 1, _base32),
    _Code(re.compile(rb"[0-9A-Fa-f]{8,}"), 4, 2, _hex),
    _Code(
        re.compile(rb"(?:0[xX])?[0-9a-fA-F]{2}(?:(?:\s*[:,;-]\s*|\s+)(?:0[xX])?[0-9a-fA-F]{2}){3,}"), 0, 1, _hex_list
    ),
    _Code(re.compile(rb"[0-9]{1,3}(?:(?:\s*[,;]\s*|\s+)[0-9]{1,3}){3,}"), 0, 1, _decimal_list),
)


_Known = dict[tuple[_Code, bytes, int], list[tuple[int, int]]]
"""Where in digits, of a code and so deep, something secret was found: most stand in many layers alike."""


class Scrubber:
    """Takes ``secrets`` out of texts; those of URLs are their user and password, and what stands in their query."""

    def __init__(self, secrets: Iterable[str] = (), urls: Iterable[str] = ()) -> None:
        self._forms: set[bytes] = set()
        for secret in secrets:
            self.add(secret)
        for url in urls:
            self._add_url(url)

    def add(self, secret: str) -> None:
        """Capitals are as good as small letters, and ä in two characters as in one."""
        if not secret:
            return
        composed = {secret, unicodedata.normalize("NFC", secret), unicodedata.normalize("NFD", secret)}
        for form in {case for one in composed for case in (one, one.upper(), one.lower())}:
            said = {_bytes(form)}
            with suppress(UnicodeEncodeError):
                said.add(form.encode("latin-1"))
            # Whoever takes UTF-8 for Latin-1, or for what browsers call so, says back two characters for one.
            misread = _bytes(form).decode("latin-1")
            said |= {_bytes(misread), _bytes(misread.translate(_WINDOWS_1252))}
            self._forms |= {one.lower() for one in said}

    def __call__(self, text: str, *, cut: bool = False) -> str:
        """``cut``: it broke off, or goes on. Half a secret, at its end, is not known for one: its end is left out."""
        data = _bytes(text)
        whole = _Layer(data, [*range(len(data))], [*range(1, len(data) + 1)])
        known: _Known = {}
        masked = _joined(sorted({span for layer in _layers(whole) for span in self._found(layer, known)}))
        end = len(data)
        if cut:
            longest = max(map(len, self._forms), default=0)
            end = max(0, end - max(LEFT_OUT, LONGEST_CHARACTER * longest))
        edges = [0, *(edge for start, stop in masked if start < end for edge in (start, min(stop, end))), end]
        return MASK.join(data[start:stop].decode("utf-8", "replace") for start, stop in [*pairwise(edges)][::2])

    def _add_url(self, url: str) -> None:
        parts = urlsplit(url)
        userinfo = parts.netloc.rpartition("@")[0]
        if userinfo:
            user, _, password = (unquote(one) for one in userinfo.partition(":"))
            self.add(userinfo)
            self.add(password or user)
            self.add(base64.b64encode(f"{user}:{password}".encode()).decode().rstrip("="))
        if parts.query:
            self.add(parts.query)
            for value in re.split("[&;=]", parts.query):
                if len(value) >= LEAST:
                    self.add(unquote(value))

    def _found(self, layer: _Layer, known: _Known) -> Iterator[tuple[int, int]]:
        data, starts, ends, dense = layer
        spans = [*_places(data, [form for form in self._forms if not dense or len(form) >= LEAST_APART])]
        long = [form for form in self._forms if len(form) >= LEAST]
        spans += _coded(data, long, CODES_DEEP, known, whole=not dense)
        if not dense:
            spans += [run.span() for run in _HEX.finditer(data)]
        for start, stop in spans:
            yield starts[start], ends[stop - 1]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _layers(whole: _Layer) -> Iterator[_Layer]:
    """The text as it is, and whatever it may mean."""
    seen: set[bytes] = set()

    def new(found: Iterable[_Layer]) -> Iterator[_Layer]:
        for layer in found:
            if layer.data not in seen:
                seen.add(layer.data)
                yield layer

    layers = [*new([whole, _dense(whole)])]
    for _ in range(DEEPEST):
        yield from layers
        layers = [*new(_undone(layer, pattern, meaning) for layer in layers for pattern, meaning in _WAYS)]
        layers += [*new(map(_dense, layers))]
    yield from layers


def _dense(layer: _Layer) -> _Layer:
    return _undone(layer, _APART, lambda _: b"")._replace(dense=True)


def _undone(layer: _Layer, pattern: re.Pattern[bytes], meaning: Callable[[bytes], bytes]) -> _Layer:
    pieces: list[bytes] = []
    starts: list[int] = []
    ends: list[int] = []
    last = 0
    for found in pattern.finditer(layer.data):
        first, behind = found.span()
        meant = meaning(found[0])
        pieces += layer.data[last:first], meant
        starts += layer.starts[last:first] + [layer.starts[first]] * len(meant)
        ends += layer.ends[last:first] + [layer.ends[behind - 1]] * len(meant)
        last = behind
    if not pieces:
        return layer
    pieces.append(layer.data[last:])
    return _Layer(b"".join(pieces), starts + layer.starts[last:], ends + layer.ends[last:], layer.dense)


def _places(data: bytes, forms: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Where one of the forms stands."""
    data = data.lower()
    for form in forms:
        at = data.find(form)
        while at >= 0:
            yield at, at + len(form)
            at = data.find(form, at + 1)


def _coded(data: bytes, forms: list[bytes], deep: int, known: _Known, *, whole: bool) -> Iterator[tuple[int, int]]:
    """Where digits stand that say one of the forms, in one code or within another; ``whole``: with all beside them."""
    shortest = min(map(len, forms), default=0)
    if not (shortest and len(data) * 6 // 8 >= shortest and _DIGITS.search(data)):
        return
    for code in _CODES:
        for run in code.run.finditer(data):
            start, stop = run.span()
            if (stop - start) * (code.bits or 4) // 8 < shortest:
                continue
            found = known.get((code, run[0], deep))
            if found is None:
                found = known[code, run[0], deep] = [*_of_run(code, run[0], forms, deep - 1, known)]
            if whole and found:
                yield start, stop
            else:
                yield from ((start + first, start + behind) for first, behind in found)


def _of_run(code: _Code, run: bytes, forms: list[bytes], deep: int, known: _Known) -> Iterator[tuple[int, int]]:
    for skipped in range(code.begins):
        for first, behind in _read(code.read(run[skipped:]), forms, deep, known):
            if code.bits:
                yield skipped + first * 8 // code.bits, min(len(run), skipped - behind * -8 // code.bits)
            else:
                yield 0, len(run)


def _read(data: bytes, forms: list[bytes], deep: int, known: _Known) -> Iterator[tuple[int, int]]:
    """Where one of the forms stands in what was read of digits."""
    yield from _places(data, forms)
    if b"\0" in data:
        # UTF-16.
        kept = [at for at, byte in enumerate(data) if byte]
        for first, behind in _places(data.replace(b"\0", b""), forms):
            yield kept[first], kept[behind - 1] + 1
    if deep:
        yield from _coded(data, forms, deep, known, whole=False)


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without overlaps; in order, as they come."""
    joined: list[tuple[int, int]] = []
    for start, stop in spans:
        if joined and start < joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined
