"""Which text before and behind a row's middle belongs to which column.

What stands between two may stand in a text as well. What is known of the columns often leaves one way to part them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from humbug_agent.sources.freeswitch.csv.templates import BETWEEN, Template

_MOST_MORE = 6
"""Gaps more than columns need; with that many in it, nobody can say what is what."""

_MOST_ARGUMENTS = 3
"""`","` in the arguments of an application."""

_WORD = re.compile(
    rb"(?i)(?!anonymous|unknown|restricted|private|unavailable|withheld)[a-z\x80-\xff][a-z\x80-\xff .'-]*"
)
"""What is certainly no number, and none that is withheld."""
_CHANNEL = re.compile(rb'(?:[\w.+-]+/[^"\r\n]*)?')
_APP = re.compile(rb"[A-Za-z_]\w*")
_DIGIT = re.compile(rb"\d")


class Doubt(ValueError):
    """There is no way to read the text, or more than one; says so in words."""


def head(template: Template, text: bytes) -> tuple[bytes, ...]:
    """What the columns before the middle hold. Raises Doubt."""
    ways = list(_ways(text, template, 0, len(template.head)))
    if "caller_id" in template.head and "caller_id_number" in template.head:
        number, caller_id = (template.head.index(name) for name in ("caller_id_number", "caller_id"))
        ways = [way for way in ways if _says_the_same(way[number], way[caller_id])]
    sure = [way for way in ways if _is_odd(dict(zip(template.head, way, strict=True)))] if len(ways) > 1 else ways
    if len(sure) != 1:
        raise Doubt(_said(len(ways), "before the times"))
    return sure[0]


def tail(templates: Sequence[Template], text: bytes, last: Template | None) -> tuple[Template, tuple[bytes, ...]]:
    """Which of the templates it is, and what the columns behind the middle hold. Raises Doubt.

    A row is read as plainly as can be: without a quote in a text. But after a row of ``last`` it is not taken for
    another template's if it can be one of that.
    """
    ways = [
        (template, way)
        for template in templates
        for way in _ways(text, template, len(template.columns) - len(template.tail), len(template.columns))
    ]
    plain = [way for way in ways if not any(b'"' in value for value in way[1])]
    if len(ways) > 1 and len(plain) == 1:
        others = [template for template, _ in ways if template is last and len(template.tail) > 1]
        ways = ways if others and plain[0][0] is not last else plain
    if len(ways) != 1:
        raise Doubt(_said(len(ways), "behind the uuid"))
    return ways[0]


def _ways(text: bytes, template: Template, first: int, last: int) -> Iterator[tuple[bytes, ...]]:
    """All ways to part the text into these columns."""
    names, gaps = template.columns[first:last], template.gaps[first : last - 1]
    for gap in set(gaps):
        found = len(re.findall(b"(?=" + re.escape(gap) + b")", text))
        if found > gaps.count(gap) + _MOST_MORE:
            raise Doubt(_said(found, "in it"))
    return _parted(text, [template.form(name) for name in names], gaps)


def _parted(
    text: bytes, forms: Sequence[re.Pattern[bytes] | None], gaps: Sequence[bytes]
) -> Iterator[tuple[bytes, ...]]:
    if not forms:
        yield ()
        return
    form, *others = forms
    if not others:
        if form is None or form.fullmatch(text):
            yield (text,)
        return
    gap, *later = gaps
    mark = text.find(gap)
    while mark >= 0:
        if form is None or form.fullmatch(text, 0, mark):
            for rest in _parted(text[mark + len(gap) :], others, later):
                yield (text[:mark], *rest)
        mark = text.find(gap, mark + 1)


def _said(ways: int, where: str) -> str:
    if ways == 0:
        return f"has no column where one should be, {where}"
    return f"a text {where} has quotes and commas in it: it can be read in more than one way"


def _says_the_same(number: bytes, caller_id: bytes) -> bool:
    """mod_cdr_csv makes caller_id of the name and the number, or of the number alone."""
    around = b'" <' + number + b">"
    whole = len(caller_id) > len(around) and caller_id.startswith(b'"') and caller_id.endswith(around)
    return caller_id == number or whole


def _is_odd(said: Mapping[str, bytes]) -> bool:
    """Of several ways, the one with quotes in the caller's name and in an application's arguments alone.

    FreeSWITCH cuts numbers that come in at their quotes. But no number, nor a part of one, may be in the name then, and
    there is no call without a destination and a context.
    """
    return all(_is_likely(name, value, said) for name, value in said.items())


def _is_likely(column: str, value: bytes, said: Mapping[str, bytes]) -> bool:
    match column:
        case "caller_id_name":
            return _is_odd_name(value)
        case "caller_id":
            name = value[1 : -len(said.get("caller_id_number", b"")) - 4]
            return b'"' not in name or _is_odd_name(name)
        case "caller_id_number" | "ani":
            return bool(_DIGIT.search(value)) and b'"' not in value
        case "destination_number" | "context":
            return bool(value) and b'"' not in value
        case "channel_name" | "bridge_channel":
            return bool(_CHANNEL.fullmatch(value))
        case "last_app":
            return not value or bool(_APP.fullmatch(value))
        case "last_arg":
            # Of a torn row and another one behind it, all of the other would be in here.
            return (bool(said.get("last_app")) or not value) and value.count(BETWEEN) <= _MOST_ARGUMENTS
    return b'"' not in value


def _is_odd_name(name: bytes) -> bool:
    first, *others = name.split(BETWEEN)
    return bool(first) and b'"' not in first and all(_WORD.fullmatch(other) for other in others)
