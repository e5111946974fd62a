"""The rules of `only`: read, written, and asked whether they hold.

    only = accountcode is acme and not (direction is internal or to starts with +49)

A comparison is FIELD is VALUE, FIELD is not VALUE or FIELD starts with VALUE; `not` binds before `and`, `and` before
`or`. A value with blanks or parentheses in it, or that is one of these words, stands in quotation marks, in which two
of them are one.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from humbug_agent.flat import Flat
from humbug_agent.ini import nearest
from humbug_agent.routing.fields import FIELDS

DEEPEST = 20
"""So many parentheses and nots may be within each other."""

RESERVED = ("and", "or", "not", "is", "starts", "with")

OTHER_QUOTES = "'\u2018\u201a\u201c\u201d\u201e\u00ab\u00bb"
"""What admins and their editors put around a value instead of ""."""

_TOKEN = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<mark>[()])|(?P<bare>[^\s()"]+)|(?P<open>"))')
_BARE = re.compile(r'[^\s()"]+')

Truth = Callable[["Comparison"], bool]


class Term(Protocol):
    """A rule, or a part of one. As a text it is what `parsed` makes it of."""

    def holds(self, truth: Truth) -> bool:
        """Whether it does, where ``truth`` says so of comparisons."""
        ...

    def comparisons(self) -> Iterator["Comparison"]:
        """All that are in it."""
        ...


@dataclass(frozen=True, slots=True)
class Comparison:
    """FIELD is VALUE; with ``begins``, FIELD starts with VALUE."""

    field: str
    value: str
    begins: bool = False

    def __str__(self) -> str:
        return f"{self.field} {'starts with' if self.begins else 'is'} {_written(self.value)}"

    def holds(self, truth: Truth) -> bool:
        return truth(self)

    def comparisons(self) -> Iterator["Comparison"]:
        yield self

    def is_true_of(self, text: str) -> bool:
        return text.startswith(self.value) if self.begins else text == self.value

    def is_true(self, flat: Flat, country: str | None) -> bool:
        """Of a call. Raises ValueError where that is damaged."""
        return any(map(self.is_true_of, FIELDS[self.field].values(flat, country)))


@dataclass(frozen=True, slots=True)
class Not:
    """What is so where ``term`` is not."""

    term: Term

    def __str__(self) -> str:
        if isinstance(self.term, Comparison) and not self.term.begins:
            return f"{self.term.field} is not {_written(self.term.value)}"
        return f"not {_within(self.term, Either, Both)}"

    def holds(self, truth: Truth) -> bool:
        return not self.term.holds(truth)

    def comparisons(self) -> Iterator[Comparison]:
        return self.term.comparisons()


@dataclass(frozen=True, slots=True)
class Both:
    """What is so where all of two or more ``terms`` are."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return " and ".join(_within(term, Either, Both) for term in self.terms)

    def holds(self, truth: Truth) -> bool:
        return all(term.holds(truth) for term in self.terms)

    def comparisons(self) -> Iterator[Comparison]:
        return (one for term in self.terms for one in term.comparisons())


@dataclass(frozen=True, slots=True)
class Either:
    """What is so where one of two or more ``terms`` is."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return " or ".join(_within(term, Either) for term in self.terms)

    def holds(self, truth: Truth) -> bool:
        return any(term.holds(truth) for term in self.terms)

    def comparisons(self) -> Iterator[Comparison]:
        return (one for term in self.terms for one in term.comparisons())


def _within(term: Term, *parted: type) -> str:
    return f"({term})" if isinstance(term, parted) else str(term)


def _written(value: str) -> str:
    if _BARE.fullmatch(value) and value.lower() not in RESERVED and value[0] not in OTHER_QUOTES:
        return value
    return '"' + value.replace('"', '""') + '"'


def parsed(text: str) -> Term:
    """The rule that ``text`` is. Raises ValueError, which says where it is none, and what may stand there."""
    return _Reader(text).rule()


class _Token(NamedTuple):
    """A word, a value in quotation marks, or a parenthesis; a blank one, which is no value, is the end."""

    text: str
    at: int
    quoted: bool = False

    @property
    def word(self) -> str:
        """In small letters; blank where it is a value in quotation marks."""
        return "" if self.quoted else self.text.lower()

    @property
    def shown(self) -> str:
        return repr(self.text) if self.text or self.quoted else "the end"


class _Reader:
    """Reads one rule, from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0

    def rule(self) -> Term:
        term = self._either(0)
        if self._here.word == ")":
            raise self._wrong("this ) has no ( before it")
        if self._here.text or self._here.quoted:
            said = f"{self._here.shown} stands where and, or, or the end belongs"
            hint = "; a value with blanks stands in quotation marks" if self._here.word not in FIELDS else ""
            raise self._wrong(said + hint)
        return term

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    def _wrong(self, said: str) -> ValueError:
        return ValueError(f"at character {self._here.at + 1}: {said}")

    def _takes(self, *words: str) -> bool:
        """Whether these come next; then they are behind it."""
        found = tuple(token.word for token in self._tokens[self._next : self._next + len(words)]) == words
        self._next += len(words) * found
        return found

    def _either(self, depth: int) -> Term:
        terms = [self._both(depth)]
        while self._takes("or"):
            terms.append(self._both(depth))
        return terms[0] if len(terms) == 1 else Either(tuple(terms))

    def _both(self, depth: int) -> Term:
        terms = [self._one(depth)]
        while self._takes("and"):
            terms.append(self._one(depth))
        return terms[0] if len(terms) == 1 else Both(tuple(terms))

    def _one(self, depth: int) -> Term:
        if depth > DEEPEST:
            raise self._wrong(f"more than {DEEPEST} parentheses and nots are within each other")
        if self._takes("not"):
            return Not(self._one(depth + 1))
        if self._takes("("):
            term = self._either(depth + 1)
            if not self._takes(")"):
                raise self._wrong(f"{self._here.shown} stands where and, or, or ) belongs")
            return term
        return self._comparison()

    def _comparison(self) -> Term:
        field = self._here.word
        if field not in FIELDS:
            known = ", ".join(FIELDS)
            raise self._wrong(f"{self._here.shown} stands where a field belongs: {known}{nearest(field, list(FIELDS))}")
        self._next += 1
        if self._here.word == "starts" and FIELDS[field].words:
            raise self._wrong(f"of {field} only is and is not can be said")
        if self._takes("starts", "with"):
            return Comparison(field, self._value(field), begins=True)
        if not self._takes("is"):
            raise self._wrong(f"{self._here.shown} stands where is, is not, or starts with belongs")
        return (
            Not(Comparison(field, self._value(field))) if self._takes("not") else Comparison(field, self._value(field))
        )

    def _value(self, field: str) -> str:
        here, words = self._here, FIELDS[field].words
        if not here.quoted and (not here.text or here.word in ("(", ")", *RESERVED)):
            hint = ", in quotation marks if it is that" if here.word in RESERVED else ""
            raise self._wrong(f"{here.shown} stands where the value of {field} belongs{hint}")
        if not here.quoted and here.text[0] in OTHER_QUOTES:
            raise self._wrong(f'{here.shown} stands in other quotation marks than ""')
        if words and here.text.lower() not in words:
            raise self._wrong(f"{here.text!r} is no {field}; there are {', '.join(words)}{nearest(here.text, words)}")
        self._next += 1
        return here.text.lower() if words else FIELDS[field].compared(here.text)


def _tokens(text: str) -> Iterator[_Token]:
    """Those of the text, and its end three times: nobody looks farther."""
    at = 0
    while found := _TOKEN.match(text, at):
        at, kind = found.end(), found.lastgroup or ""
        begin = found.start(kind) - (kind == "quoted")
        if kind == "open":
            raise ValueError(f"at character {begin + 1}: this quotation mark has none that ends it")
        said = found[kind]
        yield _Token(said.replace('""', '"'), begin, True) if kind == "quoted" else _Token(said, begin)
    yield _Token("", len(text))
