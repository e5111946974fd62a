"""A template of mod_cdr_csv as its text stands in cdr_csv.conf.xml: which columns a row has, and what is between them.

A variable or a call of an API, `${…}` with whatever is inside of it, is a column; all else stands in each row as it is.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

_ELEMENT = re.compile(r"\s*<template\b[^>]*>(.*)</template>\s*", re.DOTALL)
_BEGIN = re.compile(r"\$?\$\{")
_BRACE = re.compile(r"[{}]")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_ENCODED = re.compile(r"url_encode[( ]\s*\$\{([A-Za-z_][\w.-]*)\}\s*\)?")
_API = re.compile(r"([A-Za-z_]\w*)[( ]")

BEGINS = ("start_stamp", "start_epoch", "start_uepoch", "created_time")
ENDS = ("end_stamp", "end_epoch", "end_uepoch", "hangup_time")
TALKED = ("billsec", "billmsec", "billusec")
ANSWERS = ("answer_stamp", "answer_epoch", "answer_uepoch", "answered_time", *TALKED)
LENGTHS = ("duration", "mduration", "uduration", *TALKED)
CALLERS = ("caller_id_number", "caller_id", "ani", "sip_from_user")
CALLED = ("destination_number", "sip_req_user", "sip_to_user", "callee_id_number")

_NEEDED = (
    (("uuid",), "which call it is"),
    (CALLERS, "who called"),
    (CALLED, "who was called"),
    ((*BEGINS, *ENDS), "when it was"),
    (ANSWERS, "whether it was answered"),
    ((*ENDS, *LENGTHS), "how long it took"),
)
"""Any one of the columns -> what nothing tells without them."""


@dataclass(frozen=True)
class TemplateText:
    """A template, taken apart.

    ``literals`` are what stands before the first column, between each two, and behind the last with the line's end.

    ``encoded`` are the columns that url_encode made.
    """

    columns: tuple[str, ...]
    literals: tuple[bytes, ...]
    encoded: frozenset[str]


def parsed(text: str) -> TemplateText:
    """``text`` may have XML's entities in it, and its element around it. Raises ValueError in an admin's words."""
    element = _ELEMENT.fullmatch(text)
    text = html.unescape(element[1] if element else text.strip())
    columns: list[str] = []
    encoded: set[str] = set()
    literals: list[bytes] = []
    at = 0
    for begin, inside, end in _placeholders(text):
        name, is_encoded = _column(inside)
        if columns and begin == at:
            raise ValueError(f"nothing is between ${{{columns[-1]}}} and ${{{inside}}}, so they can't be told apart")
        if name in columns:
            name = f"column_{len(columns) + 1}"
        columns.append(name)
        encoded |= {name} if is_encoded else set()
        literals.append(text[at:begin].encode())
        at = end
    missing = [(names, what) for names, what in _NEEDED if not set(names) & set(columns)]
    if missing:
        raise ValueError("; ".join(f"does not tell {what}, as ${{{names[0]}}} would" for names, what in missing))
    last = text[at:]
    literals.append((last if last.endswith("\n") else last + "\n").encode())
    return TemplateText(tuple(columns), tuple(literals), frozenset(encoded))


def _placeholders(text: str) -> Iterator[tuple[int, str, int]]:
    """Where each begins, what is inside of its braces, and where it ends. ``$${…}`` is one of them."""
    at = 0
    while found := _BEGIN.search(text, at):
        depth, at = 1, found.end()
        while depth:
            brace = _BRACE.search(text, at)
            if not brace:
                raise ValueError(f"{text[found.start() : found.start() + 40]!r} is not closed by a brace")
            depth += 1 if brace[0] == "{" else -1
            at = brace.end()
        yield found.start(), text[found.end() : at - 1].strip(), at


def _column(inside: str) -> tuple[str, bool]:
    """Its name, and whether it is encoded. What an API makes of a variable is not what that one holds."""
    if encoded := _ENCODED.fullmatch(inside):
        return encoded[1], True
    if _NAME.fullmatch(inside):
        return inside, False
    api = _API.match(inside)
    return api[1] if api else inside, False
