"""The names of channel variables in a document of mod_xml_cdr, which are its elements' names, whatever they are.

FreeSWITCH prints `<NAME>VALUE</NAME>` and encodes the value alone. A name is what a dialplan, or a browser over
mod_verto, made of it: it may have blanks, brackets or a whole element in it. So such names are taken out before XML's
parser sees them. A value has no angle bracket, which is what tells the names from it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from heapq import heappop, heappush

LONGEST = 4096
"""Characters of a name that is none in XML."""

MOST_TRIED = 20_000
"""Places in a document where a name could end. There are some hundred; so many take some seconds."""

_BEGIN, _END = "<variables>", "</variables>"
_NEXT_LINE = re.compile(r"[ \t]*\r?\n\s*")
_VALUE = re.compile(r"[^<>]*")
_PLAIN = re.compile(r"(?a:(?:\s*<([A-Za-z_][\w.-]*)>[^<>]*</\1>)*+\s*)")


def without_names(text: str) -> tuple[str, dict[str, str]]:
    """The document with elements v0, v1 and so on as its variables, and which names these stand for.

    A document in which all names are good ones, or of which the variables are not as FreeSWITCH writes them, is left as
    it is. Raises ValueError where the names can be read in more than one way.
    """
    # What stands before and behind the variables is encoded, and has no such tags.
    begin, end = text.find(_BEGIN) + len(_BEGIN), text.rfind(_END)
    if not len(_BEGIN) <= begin <= end or _PLAIN.fullmatch(text, begin, end):
        return text, {}
    variables = _read(text, begin, end)
    if variables is None:
        return text, {}
    names = {f"v{number}": name for number, (name, _) in enumerate(variables)}
    renamed = "".join(f"<v{number}>{value}</v{number}>" for number, (_, value) in enumerate(variables))
    return text[:begin] + renamed + text[end:], names


def _read(text: str, begin: int, end: int) -> list[tuple[str, str]] | None:
    """All variables in their order, each with its value; None if they are none that FreeSWITCH wrote."""
    first = _next(text, begin)
    before: dict[int, tuple[int, str, str]] = {}
    ways = defaultdict(int, {first: 1})
    tried = 0
    # A place is reached from places before it alone: in their order, each has all its ways when its turn comes.
    waiting = [first]
    while waiting and waiting[0] < end:
        at = heappop(waiting)
        for name, value, behind in _elements(text, at):
            tried += 1
            after = _next(text, behind) if behind else 0
            if after:
                if after not in ways:
                    heappush(waiting, after)
                ways[after] += ways[at]
                before[after] = at, name, value
        if tried > MOST_TRIED:
            raise ValueError("the names of its variables can't be told from their values")
    if ways[end] > 1:
        raise ValueError("the names of its variables can be read in more than one way")
    variables: list[tuple[str, str]] = []
    at = end
    while at in before:
        at, name, value = before[at]
        variables.append((name, value))
    return variables[::-1] if at == first else None


def _elements(text: str, at: int) -> Iterator[tuple[str, str, int]]:
    """Each place where the name may end of the element that begins here, with its end; 0 if it is not closed there."""
    if not text.startswith("<", at):
        return
    close = text.find(">", at, at + LONGEST)
    while close > 0:
        value = _VALUE.match(text, close + 1)
        name = text[at + 1 : close]
        last = f"</{name}>"
        longer = text.find(">", close + 1, at + LONGEST)
        if value and text.startswith(last, value.end()):
            yield name, value[0], value.end() + len(last)
            # All longer names begin with the next one, and stand there again at the first bracket behind their value.
            again, limit = f"</{text[at + 1 : longer]}", text.find("<", at + LONGEST)
            if text.find(again, longer, limit + len(again) if limit > 0 else len(text)) < 0:
                return
        else:
            yield name, "", 0
        close = longer


def _next(text: str, at: int) -> int:
    """Where the next element begins, which stands on a line of its own; 0 if there is none."""
    found = _NEXT_LINE.match(text, at)
    return found.end() if found else 0
