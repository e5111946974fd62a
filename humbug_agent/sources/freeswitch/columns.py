"""Which text before and behind a row's middle belongs to which column.

`","` may stand in a text as well as between two. What is known of the columns often leaves one way to part them.
"""

import re
from collections.abc import Iterator, Sequence

from humbug_agent.sources.freeswitch.templates import BETWEEN, FORMS, Template

_MOST_MORE = 6
"""`","` more than columns need; with that many in it, nobody can say what is what."""

_MOST_ARGUMENTS = 3
"""`","` in the arguments of an application."""

_FORMS = {name: re.compile(form) for name, form in FORMS.items()}
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
    ways = list(_ways(text, template.head))
    if template.head[0] == "accountcode":
        ways = [way for way in ways if _says_the_same(way[1], way[4])]
        likely = _is_odd_asterisks
    else:
        likely = _is_odd
    sure = [way for way in ways if likely(way)] if len(ways) > 1 else ways
    if len(sure) != 1:
        raise Doubt(_said(len(ways), "before the times"))
    return sure[0]


def tail(templates: Sequence[Template], text: bytes, last: Template | None) -> tuple[Template, tuple[bytes, ...]]:
    """Which of the templates it is, and what the columns behind the middle hold. Raises Doubt.

    A row is read as plainly as can be: without a quote in a text. But after a row of ``last`` it is not taken for
    another template's if it can be one of that.
    """
    ways = [(template, way) for template in templates for way in _ways(text, template.tail)]
    plain = [way for way in ways if not any(b'"' in value for value in way[1])]
    if len(ways) > 1 and len(plain) == 1:
        others = [template for template, _ in ways if template is last and len(template.tail) > 1]
        ways = ways if others and plain[0][0] is not last else plain
    if len(ways) != 1:
        raise Doubt(_said(len(ways), "behind the uuid"))
    return ways[0]


def _ways(text: bytes, names: Sequence[str]) -> Iterator[tuple[bytes, ...]]:
    """All ways to part the text into these columns."""
    marks = [match.start() for match in re.finditer(rb'"(?=,")', text)]
    if len(marks) >= len(names) + _MOST_MORE and len(names) > 1:
        raise Doubt(_said(len(marks), "in it"))
    return _parted(text, [_FORMS.get(name) for name in names], marks)


def _parted(text: bytes, forms: list[re.Pattern[bytes] | None], marks: list[int]) -> Iterator[tuple[bytes, ...]]:
    if not forms:
        yield ()
        return
    form, *others = forms
    if not others:
        if form is None or form.fullmatch(text):
            yield (text,)
        return
    for number, mark in enumerate(marks):
        if form is None or form.fullmatch(text, 0, mark):
            begin = mark + len(BETWEEN)
            later = [other - begin for other in marks[number + 1 :] if other >= begin]
            for rest in _parted(text[begin:], others, later):
                yield (text[:mark], *rest)


def _said(ways: int, where: str) -> str:
    if ways == 0:
        return f"has no column where one should be, {where}"
    return f"a text {where} has quotes and commas in it: it can be read in more than one way"


def _says_the_same(number: bytes, caller_id: bytes) -> bool:
    """mod_cdr_csv makes caller_id of the name and the number, or of the number alone."""
    around = b'" <' + number + b">"
    whole = len(caller_id) > len(around) and caller_id.startswith(b'"') and caller_id.endswith(around)
    return caller_id == number or whole


def _is_odd(way: tuple[bytes, ...]) -> bool:
    """Of several ways to read name, number, destination and context, the one with quotes in the name alone.

    FreeSWITCH cuts numbers that come in at their quotes. But no number, nor a part of one, may be in the name then, and
    there is no call without a destination and a context.
    """
    rest = way[1:4]
    return _is_odd_name(way[0]) and bool(_DIGIT.search(way[1])) and all(rest) and not any(b'"' in one for one in rest)


def _is_odd_asterisks(way: tuple[bytes, ...]) -> bool:
    """Of several ways, the one with quotes in the name and in the application's arguments alone."""
    number, caller_id, channel, bridge, app, arguments = way[1], *way[4:]
    name = caller_id[1 : -len(number) - 4]
    return (
        bool(_DIGIT.search(number))
        and not any(b'"' in value for value in way[:4])
        and (b'"' not in name or _is_odd_name(name))
        and bool(_CHANNEL.fullmatch(channel) and _CHANNEL.fullmatch(bridge))
        and (not arguments if not app else bool(_APP.fullmatch(app)))
        # Of a torn row and another one behind it, all of the other would be in here.
        and arguments.count(BETWEEN) <= _MOST_ARGUMENTS
    )


def _is_odd_name(name: bytes) -> bool:
    first, *others = name.split(BETWEEN)
    return bool(first) and b'"' not in first and all(_WORD.fullmatch(other) for other in others)
