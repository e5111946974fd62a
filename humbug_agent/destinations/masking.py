"""Calls without what a destination is not told: outside numbers, or parts of them, and names, wherever they stand.

That is done before a destination makes its request of a call, whatever its type.
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from humbug_agent.cdr import Direction, Record
from humbug_agent.destinations import own_key
from humbug_agent.destinations.contract import Batch, Destination, Preview
from humbug_agent.destinations.settings import PSEUDONYM, Privacy
from humbug_agent.flat import Flat, flatten, made, texts
from humbug_agent.numbers.outside import BETWEEN, LEAST, LONGEST, PLAIN, canonical, core, is_outside
from humbug_agent.numbers.plain import PARTING, folded, plain

HIDDEN, HIDDEN_DIGITS = "x", 3
"""What stands in the place of each digit that is hidden. Source of the sign: ITU-T E.123."""

NOBODYS = "+999"
"""What pseudonyms begin with. Source: ITU-T E.164, which gives this code to nobody."""

_TEXTS = (
    "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "accountcode", "uniqueid",
    "userfield", "linkedid",
)  # fmt: skip


_UUID = r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![0-9A-Za-z])"


def _pieces(suffix: str, dash: str) -> re.Pattern[str]:
    return re.compile(
        # What a PBX has made up: a UUID, a uniqueid of Asterisk, the time in the name of a recording.
        rf"(?P<made>{_UUID}"
        r"|(?<![\w.+])1[0-9]{9}\.[0-9]+(?!\w)"
        r"|(?<![0-9])20[0-9]{6}-[0-9]{6}(?![0-9])"
        rf"{suffix})"
        # A number as people write it, in groups, which a + or a 0 gives away; and any other.
        rf"|(?P<parted>(?:\+|(?<![\w.:+-])0)(?![0-9]{{6}})(?:[ ./()]|{dash}|[0-9]){{5,}}[0-9])"
        r"|(?P<run>\+?[0-9]+)"
    )


_CHANNEL = re.compile(r"[A-Za-z][0-9A-Za-z]*/")
"""Where the name of a channel may be."""

_PIECES = _pieces("", "-")
_PIECES_OF_CHANNELS = _pieces(r"|(?<=\w)-[0-9a-f]{8}(?:;[12])?(?=$|[^\w@-])", r"-(?![0-9a-f]{8}(?:;|$))")
"""What ends the name of a channel is made up, too. Elsewhere it is the end of a number, such as +65-61234567."""

_NAMES_NAME = re.compile(r"(?:call|connect|cid).*name|cnam|display", re.IGNORECASE)
"""What PBXs call that in which a caller's name is, beside the clid: CallerIDName, callee_id_name, sip_from_display."""

_BEFORE_AN_ADDRESS = re.compile(
    r'"((?:[^"\\]|\\.){1,128})" ?<|(?:^|,)([^"<>,;]+)<(?:sips?|tel):', re.IGNORECASE | re.DOTALL
)
"""Names as SIP's headers have them: "Anna" <sip:101@example.org>. Source: RFC 3261, 25.1, name-addr."""

_LETTER = re.compile(r"[^\W\d_]")
_GAP = re.compile(r"[\s!-/:-@\[-`{-~]+")
"""What stands between the words of a name: blanks, and the signs of ASCII."""


class _Known(NamedTuple):
    """What is to be hidden of one call, in whatever form it stands there.

    ``numbers`` by their cores; those with fewer digits than LEAST are ``short`` and stand by themselves.
    """

    numbers: Mapping[str, str]
    short: frozenset[str]
    names: re.Pattern[str] | None


class Masking:
    """Makes calls and notices that tell no more than ``privacy`` lets them. ``country`` is the PBX's, if it is said.

    What is hidden can't be found again without the key, neither by trying all numbers nor by the call's identity, which
    is a digest of all of it: it has another one, the same each time. ``own`` is where the host's key is, for whom there
    is no other. Raises OSError where that can't be read.
    """

    def __init__(self, privacy: Privacy, country: str | None, own: Path) -> None:
        self._mask, self._names = privacy.mask, privacy.names
        self._said, self._own = privacy.key, own
        self._country = country
        self._pseudonym = lru_cache(maxsize=8192)(self._made_pseudonym)

    @cached_property
    def _key(self) -> bytes:
        return (self._said.reveal() if self._said else own_key.read(self._own)).encode("utf-8", "replace")

    def __call__(self, flat: Flat) -> Flat:
        extra = texts(flat.extra) if flat.extra else {}
        said: dict[str, str] = {} if flat.is_notice() else {name: getattr(flat, name) for name in _TEXTS}
        names = () if self._names else _take_names(said, extra)
        known = self._known(flat, said, names)
        clear: dict[str, Any] = {name: self._text(value, known) for name, value in said.items()}
        if extra:
            # What a PBX calls its fields is nobody's name, though one may be in it, as Ina in destination.
            titled = known._replace(names=None)
            shown = {self._text(title, titled): self._text(value, known) for title, value in extra.items()}
            clear["extra"] = json.dumps(shown, ensure_ascii=False)
        identity = hmac.digest(self._key, b"identity" + flat.identity, "sha256")[: len(flat.identity)]
        return flat._replace(identity=identity, **clear)

    def _known(self, flat: Flat, said: Mapping[str, str], names: Sequence[str]) -> _Known:
        pattern = _pattern(names) if names else None
        if not self._mask or not said:
            return _Known({}, frozenset(), pattern)
        caller = said["clid"].rpartition("<")[2].rstrip("> ")
        # Who is outside by the PBX's own word is so with any number.
        outside = [caller, flat.src] if flat.direction == Direction.INBOUND else []
        outside += [flat.dst] if flat.direction == Direction.OUTBOUND else []
        numbers: dict[str, str] = {}
        short = set()
        for written in {flat.src, flat.dst, caller}:
            number = plain(written).translate(PARTING)
            if _NUMBER.fullmatch(number) and (written in outside or is_outside(number, self._country)):
                digits = core(number, self._country)
                numbers[digits] = canonical(number, self._country)
                if len(digits) < LEAST:
                    short.add(number)
                    del numbers[digits]
        return _Known(numbers, frozenset(short), pattern)

    def _text(self, text: str, known: _Known) -> str:
        if known.names:
            text = known.names.sub(lambda found: found["made"] or "", text)
        if not self._mask:
            return text
        if not _DIGITS_OF_ONE.search(folded(text)):
            return _put(_RUN, lambda found: self._piece(found, known), text) if known.short else text
        pieces = _PIECES_OF_CHANNELS if _CHANNEL.search(text) else _PIECES
        text = _put(pieces, lambda found: self._piece(found, known), text)
        for digits, number in known.numbers.items():
            if len(digits) >= PLAIN and digits in folded(text).translate(PARTING):
                text = _put(_parted(digits), partial(self._parted, number), text)
        return text

    def _piece(self, found: re.Match[str], known: _Known) -> str:
        piece = found[0]
        inside = next((one for one in known.numbers if one in piece), "")
        if found.lastgroup == "made":
            # There fewer digits may be so by chance.
            inside = inside if len(inside) >= PLAIN else ""
            return self._hidden(piece, piece.find(inside) + len(inside), known.numbers[inside]) if inside else piece
        if inside:
            return self._hidden(piece, piece.find(inside) + len(inside), known.numbers[inside])
        number = plain(piece)
        if number not in known.short and not is_outside(number, self._country):
            return piece
        # Where one ends that people have parted, or that has more digits than any, nobody knows: all may be its end.
        at = [at for at, one in enumerate(piece) if one in _DIGITS]
        end = len(piece) if number == piece and len(at) <= LONGEST + 2 else at[:PLAIN][-1] + 1
        return self._hidden(piece, end, canonical(number, self._country))

    def _parted(self, number: str, found: re.Match[str]) -> str:
        return self._hidden(found[0], found.end("core") - found.start(), number)

    def _hidden(self, piece: str, end: int, number: str) -> str:
        """What stands in the place of a piece of a text in which a number ends at ``end``."""
        if self._mask == PSEUDONYM:
            return self._pseudonym(number)
        digits = [at for at in range(end) if piece[at] in _DIGITS]
        left = digits[-HIDDEN_DIGITS] if len(digits) > HIDDEN_DIGITS else 0
        return piece[:left] + re.sub("[0-9]", HIDDEN, piece[left:])

    def _made_pseudonym(self, number: str) -> str:
        made_of = hmac.digest(self._key, b"number" + number.encode(), "sha256")
        return f"{NOBODYS}{int.from_bytes(made_of[:8], 'big') % 10**12:012}"


_DIGITS = "0123456789"
_DIGITS_OF_ONE = re.compile(rf"[0-9]{{{LEAST}}}|[0-9]{BETWEEN}[0-9]{BETWEEN}[0-9]{BETWEEN}[0-9]{BETWEEN}[0-9]")
_RUN = re.compile(r"(?P<run>\+?[0-9]+)")
_NUMBER = re.compile(r"\+?[0-9]{2,}")


def _put(pieces: re.Pattern[str], put: Callable[[re.Match[str]], str], text: str) -> str:
    """The text with what ``put`` makes of its pieces, as they are in ASCII; what that leaves stays as it is written."""
    ascii_ = folded(text)
    if ascii_ is text:
        return pieces.sub(put, text)
    # Most texts have no marks that are left out.
    alike = len(ascii_) == len(text)
    places = range(len(text)) if alike else [place for place, one in enumerate(text) if folded(one)]
    made, at = "", 0
    for found in pieces.finditer(ascii_):
        if (new := put(found)) != found[0]:
            made += text[at : places[found.start()]] + new
            at = places[found.end() - 1] + 1
    return made + text[at:]


@lru_cache(maxsize=1024)
def _parted(digits: str) -> re.Pattern[str]:
    """These digits, whatever people put between them, with those before and behind that belong to them."""
    return re.compile(rf"\+?(?:[0-9]{BETWEEN})*?(?P<core>{BETWEEN.join(digits)})[0-9]*")


def _take_names(said: dict[str, str], extra: dict[str, str]) -> Sequence[str]:
    """Takes the names out of where names stand, and returns them."""
    found = []
    if clid := said.get("clid"):
        before, bracket, number = clid.rpartition("<")
        name = (before if bracket else clid).strip(' "')
        if bracket or _LETTER.search(name):
            said["clid"] = bracket + number if bracket else ""
            found.append(name)
    for title, value in extra.items():
        if _NAMES_NAME.search(title) and _LETTER.search(value):
            extra[title] = ""
            found.append(value.strip(' "'))
        found += [(quoted or bare).strip() for quoted, bare in _BEFORE_AN_ADDRESS.findall(value)]
    # What has no letter is a number, and not to be missing where numbers stand.
    return [name for name in found if _LETTER.search(name)]


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    """These wherever they stand, whatever is between their words; but not in a UUID, in which an Ada may be by chance.

    One of a single word may be in another by chance, too: where letters are large and small, none may stand right
    before or behind it; of one or two letters no digit either. Other scripts put no blanks between words, or put more
    right before or behind them.
    """
    whole = []
    for name in sorted(names, key=len, reverse=True):
        words = [word for word in _GAP.split(name) if word]
        near = r"[^\W_]" if len(words[0]) < 3 else r"[^\W\d_]"
        before = f"(?<!{near})" if len(words) == 1 and _has_case(words[0][0]) else ""
        behind = f"(?!{near})" if len(words) == 1 and _has_case(words[-1][-1]) else ""
        whole.append(before + _GAP.pattern.join(map(re.escape, words)) + behind)
    return re.compile(f"(?P<made>{_UUID})|{'|'.join(whole)}", re.IGNORECASE)


def _has_case(letter: str) -> bool:
    return letter.lower() != letter.upper()


class Masked:
    """A destination that is told less of each call; in all else it is the ``destination`` that it stands for."""

    def __init__(self, destination: Destination, mask: Masking) -> None:
        self.name, self.where = destination.name, destination.where
        self.connections, self.batch = destination.connections, destination.batch
        self._destination = destination
        self._mask = mask
        self.collect, self.doubted, self.wake = destination.collect, destination.doubted, destination.wake
        self.check, self.clock_off, self.close = destination.check, destination.clock_off, destination.close

    def begin(self, batches: Sequence[Batch]) -> None:
        self._destination.begin([[(number, self._mask(flat)) for number, flat in batch] for batch in batches])

    def preview(self, record: Record) -> Preview:
        return self._destination.preview(made(self._mask(flatten(record))))
