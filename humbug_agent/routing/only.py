"""`only`: which calls are a destination's."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod

from humbug_agent.cdr import Direction
from humbug_agent.flat import Flat
from humbug_agent.ini import Section
from humbug_agent.routing.fields import FIELDS, said_of
from humbug_agent.routing.terms import Comparison, Term, parsed

MOST_TRIED = 4096
"""So many calls are made up at most to see whether one of them would be taken."""

_ANY = "\ue000"
"""What no rule asks for."""


@dataclass(frozen=True, slots=True)
class Only:
    """The rule of one destination."""

    rule: Term

    def __str__(self) -> str:
        return str(self.rule)

    def takes(self, country: str | None) -> Callable[[Flat], bool]:
        """Says of a call whether it is taken, or raises ValueError where that is damaged.

        ``country`` is that of [numbers].
        """
        holds = self.rule.holds
        return lambda flat: holds(lambda one: one.is_true(flat, country))

    def why_not(self, flat: Flat, country: str | None) -> str:
        """Why a call is not taken: the rule, and what the call says of the fields in it; blank where it is taken."""
        if self.takes(country)(flat):
            return ""
        fields = dict.fromkeys(one.field for one in self.rule.comparisons())
        return f"only = {self}; it has {', '.join(said_of(field, flat, country) for field in fields)}"

    def can_match(self, *, directions: bool = True) -> bool:
        """Whether there can be a call that is taken. Of a rule for which that takes too long: yes.

        ``directions``: the PBX tells them; else that of each call is unknown.
        """
        asked = list(dict.fromkeys(self.rule.comparisons()))
        parts = dict.fromkeys(part for one in asked for part in FIELDS[one.field].parts)
        tried: dict[str | Comparison, list[str]] = {part: _tried(part, asked) for part in parts}
        if "direction" in tried and not directions:
            tried["direction"] = [Direction.UNKNOWN]
        # Of what can have any number of values each comparison is for itself.
        tried |= {one: ["", one.value] for one in asked if not FIELDS[one.field].parts}
        if prod(map(len, tried.values())) > MOST_TRIED:
            return True
        return any(
            self.rule.holds(partial(_is_true, dict(zip(tried, texts, strict=True))))
            for texts in product(*tried.values())
        )


def _tried(part: str, asked: list[Comparison]) -> list[str]:
    """Texts of which one agrees in all these comparisons with whatever stands there."""
    here = [one for one in asked if part in FIELDS[one.field].parts]
    if words := FIELDS[here[0].field].words:
        return list(words)
    if FIELDS[here[0].field].number:
        # A number that was written with + is as if it were only known by that form.
        here = [one for one in here if one.value.startswith("+") == part.endswith("+")]
    return list(dict.fromkeys([_ANY, *(one.value for one in here), *(one.value + _ANY for one in here if one.begins)]))


def _is_true(call: dict[str | Comparison, str], one: Comparison) -> bool:
    parts = FIELDS[one.field].parts
    return any(one.is_true_of(call[part]) for part in parts) if parts else bool(call[one])


def read(section: Section) -> Only | None:
    """What `only` of a [destination NAME] says; None: all calls are the destination's."""
    rule = section.converted("only", parsed, "a rule", wrapped=" ")
    return Only(rule) if rule else None
