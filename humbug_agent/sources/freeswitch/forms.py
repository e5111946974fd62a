"""A call's document as FreeSWITCH's modules write or post it: JSON or XML, wrapped in what `encode` makes of it.

What comes out is the same for both: the channel's variables, the newest profile and its times. Whoever calls in chooses
many of the values, so nothing is taken for granted, and what could be read in two ways is not read at all.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

from humbug_agent.sources.freeswitch.variable_names import without_names
from humbug_agent.text import AUTO, carried, keeps_ascii, mended

MOST_BYTES = 4 * 1024 * 1024
"""A call has some ten thousand. Taken apart, a document can be 35 times as large, which the unit's memory must hold."""

DEEPEST = 32
"""Of XML elements; the modules nest 7."""

JSON_ENCODE = (
    "mod_json_cdr's encode=true can't be undone once a value has a quote or a line break in it: in json_cdr.conf.xml "
    "set encode to false (and encode-values to false)"
)

_ATTRIBUTES = "@attributes"
"""In mod_xml_cdr's XML as PHP's json_encode has it, which FusionPBX keeps; an element that was empty is an object."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]+={0,2}\s*\0*")
_DECLARED = re.compile(rb"""<\?xml\s[^>]*?\sencoding\s*=\s*["']([A-Za-z][\w.-]*)""")
_BAD_BYTES = re.compile("[\udc80-\udcff]")
_PRIVATE = {0xDC00 + byte: 0xF0000 + byte for byte in range(0x80, 0x100)}
_BACK = {private: bad for bad, private in _PRIVATE.items()}
"""A parser of XML takes no bytes that are not UTF-8, and passes characters of private use on."""
_REFERENCE = re.compile(r"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,10}));")
_COUNT = re.compile(r"[0-9]{1,18}")
_CONTROL = dict.fromkeys([*range(9), 11, 12, *range(14, 32)], " ")
"""What XML can't hold. The modules write it down all the same."""


@dataclass(frozen=True, slots=True)
class Document:
    """A call's document, freed of the form in which it came.

    ``variables`` as they stand, percent-encoded or not; ``profile`` and ``times`` of the newest callflow.

    What that one's times don't tell, which is 0, an older one's may.
    """

    is_xml: bool
    variables: Mapping[str, str]
    profile: Mapping[str, str]
    times: Mapping[str, str]
    switchname: str
    charset: str = AUTO
    """Of what is still percent-encoded."""


@dataclass(slots=True)
class _Callflow:
    """One for each time that the call was routed, and for the first."""

    index: str = ""
    profile: dict[str, str] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)

    @property
    def age(self) -> tuple[int, bool, int, int]:
        """The greater, the newer: when it was made, whether another one took its place, whether it saw the end."""
        made, left, ended = (
            _count(self.times.get(f"{name}_time")) for name in ("profile_created", "transfer", "hangup")
        )
        return made, not left, ended, _count(self.index)


def opened(raw: bytes, charset: str = AUTO) -> Document:
    """A charset that XML declares goes before ``charset``.

    Raises ValueError, which says in what way it is no document, or not yet a whole one.
    """
    if len(raw) > MOST_BYTES:
        raise ValueError(f"larger than {MOST_BYTES // 1024 // 1024} MB")
    body = _bare(raw.removeprefix(b"\xef\xbb\xbf"))
    urlencoded = body.startswith(b"%")
    if urlencoded:
        # FreeSWITCH encodes blanks and pluses; a plus is the blank of whoever sends its documents on.
        body = unquote_to_bytes(body.replace(b"+", b" "))
    elif _BASE64.fullmatch(body):
        body = _unpacked(body)
    body = _bare(body)
    if body.startswith(b"<"):
        charset = _declared(body) or charset
        return _said(_xml(body, charset), charset)
    if body.startswith(b"{"):
        return _said(_json(body, charset, urlencoded), charset)
    raise ValueError("neither JSON nor XML, in none of the forms that FreeSWITCH's modules send" if body else "empty")


def _bare(body: bytes) -> bytes:
    return body.strip(b" \t\r\n\0").removeprefix(b"cdr=").lstrip()


def _unpacked(body: bytes) -> bytes:
    try:
        packed = b"".join(body.rstrip(b"\0").split()).rstrip(b"=")
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"broken base64 ({error})") from error


def _declared(body: bytes) -> str:
    """The charset that XML says it is in. UTF-8 is what everybody says, and blank here, like one that is not known."""
    found = _DECLARED.match(body)
    name = found[1].decode() if found else ""
    try:
        return name if name and name.lower() not in ("utf-8", "utf8") and keeps_ascii(name) else ""
    except LookupError:
        return ""


def _said(document: Document, charset: str) -> Document:
    """FreeSWITCH passes on what the phones send: each text is judged for itself."""

    def texts(values: Mapping[str, str]) -> dict[str, str]:
        return {name: mended(value, charset) for name, value in values.items()}

    return replace(
        document,
        variables=texts(document.variables),
        profile=texts(document.profile),
        times=texts(document.times),
        switchname=mended(document.switchname, charset),
        charset=charset,
    )


def _json(body: bytes, charset: str, urlencoded: bool) -> Document:
    text = carried(body, charset)
    try:
        # With encode=true, what looks like structure may come from a value: then it may not be there twice.
        # A number is kept as it stands there, of whatever length: Python makes no int of one with thousands of digits.
        hook = _once if urlencoded else _gathered
        found = json.loads(text, strict=urlencoded, object_pairs_hook=hook, parse_int=str)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    except ValueError as error:
        whole = body.rstrip().endswith(b"}")
        raise ValueError(JSON_ENCODE if urlencoded and whole else f"not a whole JSON document ({error})") from error
    if urlencoded and _hides_itself(found):
        raise ValueError(JSON_ENCODE)
    is_xml = _ATTRIBUTES in found
    variables = _strings(_firsts(found.get("variables")) if is_xml else found.get("variables"))
    switchname = _string(_attribute(found, "switchname"))
    return _document(is_xml, variables, list(_callflows(found.get("callflow"))), switchname)


def _attribute(found: dict[str, Any], name: str) -> object:
    """What an element has as an attribute, or as JSON says it."""
    attributes = found.get(_ATTRIBUTES)
    return attributes.get(name) if isinstance(attributes, dict) else found.get(name)


def _firsts(found: object) -> object:
    """Of an element that stood there more than once the first, as our own reader of XML takes it."""
    if not isinstance(found, dict):
        return found
    return {name: value[0] if isinstance(value, list) and value else value for name, value in found.items()}


def _callflows(found: object) -> Iterator[_Callflow]:
    """A module has them in a list, an older one has one of them, or each under the same name."""
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, list):
            yield from _callflows(one)
        elif isinstance(one, dict):
            index = _string(_attribute(one, "profile_index"))
            yield _Callflow(index, _strings(one.get("caller_profile")), _strings(one.get("times")))


def _document(is_xml: bool, variables: dict[str, str], callflows: list[_Callflow], switchname: str) -> Document:
    """Of callflows that are equally old, the first one is the newest: so FreeSWITCH writes them."""
    newest = max((one for one in callflows if one.profile), key=lambda one: one.age, default=_Callflow())
    times: dict[str, str] = {}
    for one in [newest, *callflows]:
        times |= {name: said for name, said in one.times.items() if not _count(times.get(name))}
    return Document(is_xml, variables, newest.profile, times, switchname)


def _count(said: str | None) -> int:
    """0 is never; so is what is no number that a clock can show."""
    return int(said) if said and _COUNT.fullmatch(said) else 0


def _hides_itself(found: Mapping[str, Any]) -> bool:
    """Whether a leg that came in has what only legs that FreeSWITCH dialled have: a caller may have forged it."""
    variables = _strings(found.get("variables"))
    dialled = _strings(found.get("channel_data")).get("direction") == "outbound"
    return not dialled and (variables.get("cc_side") == "agent" or bool(variables.get("originating_leg_uuid")))


def _gathered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that stands there twice the last value, but all callflows."""
    found = dict(pairs)
    if len(found) < len(pairs) and "callflow" in found:
        found["callflow"] = [value for name, value in pairs if name == "callflow"]
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _strings(found: object) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    return {name: _string(value) for name, value in found.items() if not isinstance(value, dict | list)}


def _string(value: object) -> str:
    said = value if isinstance(value, str) else "" if value is None else str(value)
    return said.replace("\0", "")


@dataclass(slots=True)
class _Reader:
    """Collects the texts of cdr/variables/*, and of caller_profile/* and times/* in each callflow.

    ``names`` are those of variables that go by other names in the XML.
    """

    names: Mapping[str, str]
    path: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    callflows: list[_Callflow] = field(default_factory=list)
    switchname: str = ""
    _into: dict[str, str] | None = None
    _text: list[str] = field(default_factory=list)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.path.append(name)
        depth = len(self.path)
        if depth > DEEPEST:
            raise ValueError("XML that is nested too deeply")
        if depth == 1:
            if name != "cdr":
                raise ValueError(f"XML, but no call record: it begins with <{name[:40]}>")
            self.switchname = attributes.get("switchname", "").translate(_BACK)
        elif depth == 2 and name == "callflow":
            self.callflows.append(_Callflow(attributes.get("profile_index", "")))
        elif depth > 3 and self.path[1] == "variables":
            # It would be a part of a variable's name.
            raise ValueError("XML with elements inside of a variable, which FreeSWITCH never writes")
        self._into = self._place()
        self._text.clear()

    def _place(self) -> dict[str, str] | None:
        if len(self.path) == 3 and self.path[1] == "variables":
            return self.variables
        if len(self.path) == 4 and self.path[1] == "callflow":
            return {"caller_profile": self.callflows[-1].profile, "times": self.callflows[-1].times}.get(self.path[2])
        return None

    def data(self, text: str) -> None:
        if self._into is not None:
            self._text.append(text)

    def end(self, name: str) -> None:
        if self._into is not None:
            if self._into is self.variables:
                name = self.names.get(name, name)
            # An array has an element for each of its values.
            self._into.setdefault(name, "".join(self._text).translate(_BACK))
        self._into = None
        self.path.pop()


def _xml(body: bytes, charset: str) -> Document:
    text = _BAD_BYTES.sub(lambda bad: bad[0].translate(_PRIVATE), carried(body, charset))
    text, names = without_names(text.translate(_CONTROL))
    reader = _Reader(names)
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refused
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.data
    try:
        parser.Parse(_REFERENCE.sub(_possible, text), True)
    except expat.ExpatError as error:
        raise ValueError(f"not a whole XML document ({error})") from error
    return _document(True, reader.variables, reader.callflows, reader.switchname)


def _possible(reference: re.Match[str]) -> str:
    """mod_xml_cdr takes Latin-1 for UTF-8, and so refers to characters that there are none of."""
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    legal = number in (9, 10, 13) or 32 <= number < 0xD800 or 0xE000 <= number < 0xFFFE or 0x10000 <= number < 0x110000
    return reference[0] if legal else "\ufffd"


def _refused(*_: object) -> None:
    raise ValueError("XML with a document type or entities of its own, which FreeSWITCH never writes")
