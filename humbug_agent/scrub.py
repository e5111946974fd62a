"""Texts from outside, without the secrets that they may say back: in whatever way they are written there.

What writes a secret is undone, one way after the other, and what is found then is masked where it stood. So it matters
neither which characters are escaped nor how: as JSON, HTML, CSV or a URL has it, in base64, or one within another.
"""

import base64
import html
import json
import re
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
"""Bytes of a secret that is looked for in base64: of fewer any text has some."""

_WINDOWS_1252 = {byte: bytes([byte]).decode("cp1252", "ignore") or byte for byte in range(0x80, 0xA0)}

_HEX = re.compile(rb"[0-9A-Fa-f]{32,}")
"""What is encoded with a secret, signed with it, or a token."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{6,}={0,2}")


class _Layer(NamedTuple):
    """A text with some of its writing undone. Byte i of ``data`` stood at ``starts[i]`` to ``ends[i]``."""

    data: bytes
    starts: list[int]
    ends: list[int]


def _json(said: bytes) -> bytes:
    try:
        meant: str = json.loads(b'"%b"' % said)
    except ValueError:
        # JavaScript, Python and PHP have more: \x41 and \'.
        return bytes.fromhex(said[2:].decode()) if said[1:2] == b"x" else said[1:]
    return _bytes(meant)


def _html(said: bytes) -> bytes:
    return _bytes(html.unescape(said.decode()))


def _url(said: bytes) -> bytes:
    return bytes.fromhex(said[1:].decode())


def _form(said: bytes) -> bytes:
    return b" " if said == b"+" else _url(said)


def _csv(_: bytes) -> bytes:
    return b'"'


_WAYS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], bytes]], ...] = (
    (
        re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}"
                   rb"|\\x[0-9a-fA-F]{2}|\\[\"'\\/bfnrt]"),
        _json,
    ),
    (re.compile(rb"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?"), _html),
    (re.compile(rb"%[0-9a-fA-F]{2}"), _url),
    (re.compile(rb"%[0-9a-fA-F]{2}|\+"), _form),
    (re.compile(rb'""'), _csv),
)  # fmt: skip


class Scrubber:
    """Takes ``secrets`` out of texts; those of URLs are their user and password, and what stands in their query."""

    def __init__(self, secrets: Iterable[str] = (), urls: Iterable[str] = ()) -> None:
        self._forms: set[bytes] = set()
        for secret in secrets:
            self.add(secret)
        for url in urls:
            self._add_url(url)

    def add(self, secret: str) -> None:
        if secret:
            self._forms.add(_bytes(secret))
            with suppress(UnicodeEncodeError):
                self._forms.add(secret.encode("latin-1"))
            # Whoever takes UTF-8 for Latin-1, or for what browsers call so, says back two characters for one.
            misread = _bytes(secret).decode("latin-1")
            self._forms |= {_bytes(misread), _bytes(misread.translate(_WINDOWS_1252))}

    def __call__(self, text: str, *, cut: bool = False) -> str:
        """``cut``: it broke off, or goes on. Half a secret, at its end, is not known for one: its end is left out."""
        data = _bytes(text)
        whole = _Layer(data, [*range(len(data))], [*range(1, len(data) + 1)])
        masked = _joined(sorted(span for layer in _layers(whole) for span in self._found(layer)))
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

    def _found(self, layer: _Layer) -> Iterator[tuple[int, int]]:
        data, starts, ends = layer
        for form in self._forms:
            at = data.find(form)
            while at >= 0:
                yield starts[at], ends[at + len(form) - 1]
                at = data.find(form, at + 1)
        long = [form for form in self._forms if len(form) >= LEAST]
        for run in _BASE64.finditer(data):
            if any(form in read for read in _unpacked(run[0]) for form in long):
                yield starts[run.start()], ends[run.end() - 1]
        for run in _HEX.finditer(data):
            yield starts[run.start()], ends[run.end() - 1]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _layers(whole: _Layer) -> Iterator[_Layer]:
    """The text as it is, and whatever it may mean."""
    seen = {whole.data}
    layers = [whole]
    for _ in range(DEEPEST):
        yield from layers
        undone = [_undone(layer, pattern, meaning) for layer in layers for pattern, meaning in _WAYS]
        layers = [*{layer.data: layer for layer in undone if layer.data not in seen}.values()]
        seen |= {layer.data for layer in layers}
    yield from layers


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
    return _Layer(b"".join([*pieces, layer.data[last:]]), starts + layer.starts[last:], ends + layer.ends[last:])


def _unpacked(run: bytes) -> Iterator[bytes]:
    """What it may be the base64 of, wherever that begins."""
    digits = run.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    for skipped in range(4):
        rest = digits[skipped:]
        yield base64.b64decode(rest[: len(rest) - (len(rest) % 4 == 1)] + b"==")


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without overlaps; in order, as they come."""
    joined: list[tuple[int, int]] = []
    for start, stop in spans:
        if joined and start < joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined
