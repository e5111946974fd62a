"""Rules of `only`, and calls that they are about, drawn by chance; judged here in another way than the agent does."""

from typing import Any

from hypothesis import strategies as st

from humbug_agent.cdr import CDR, Direction
from tests.kit.calls import call
from tests.kit.scripts import bare

CODES = ("acme", "beta", "acme corp", "", "and")
DOMAINS = ("acme.example.org", "beta.example.org", "")
NUMBERS = ("+41445550123", "+4144", "0445550123", "101", "1", "")
WRITTEN = (*NUMBERS, "+٤١٤٤٥٥٥٠١٢٣", "＋４１ (44) 555-01 23", "\u202a٠٤٤ ٥٥٥ ٠١ ٢٣\u202c", "١٠١")
"""The same, and some of them in other digits."""

CHANNELS = ("PJSIP/acme-00000001", "PJSIP/beta-00000002", "SIP/1-1", "")

VALUES: dict[str, tuple[str, ...]] = {
    "accountcode": CODES,
    "domain": DOMAINS,
    "tenant": CODES + DOMAINS,
    "direction": tuple(Direction),
    "from": WRITTEN,
    "to": WRITTEN,
    "trunk": ("PJSIP/acme", "PJSIP/beta", "SIP/1", "PJSIP/"),
}

Rule = tuple[Any, ...]
"""("is" or "starts with", field, value), ("not", rule), or ("and" or "or", rules)."""


@st.composite
def _comparison(draw: st.DrawFn) -> Rule:
    field = draw(st.sampled_from(sorted(VALUES)))
    how = "is" if field == "direction" else draw(st.sampled_from(["is", "starts with"]))
    return how, field, draw(st.sampled_from(VALUES[field]))


RULES: st.SearchStrategy[Rule] = st.recursive(
    _comparison(),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=6,
)


def written(rule: Rule) -> str:
    """With parentheses everywhere."""
    if rule[0] == "not":
        return f"not ({written(rule[1])})"
    if rule[0] in ("and", "or"):
        return f" {rule[0]} ".join(f"({written(one)})" for one in rule[1])
    how, field, value = rule
    return f'{field} {how} "{value}"'


def is_so(rule: Rule, cdr: CDR) -> bool:
    if rule[0] == "not":
        return not is_so(rule[1], cdr)
    if rule[0] in ("and", "or"):
        each = [is_so(one, cdr) for one in rule[1]]
        return all(each) if rule[0] == "and" else any(each)
    how, field, value = rule
    value = bare(value) if field in ("from", "to") else value
    return any(text == value if how == "is" else text.startswith(value) for text in said(field, cdr))


def said(field: str, cdr: CDR) -> list[str]:
    """What the call says of the field, where no country is set."""
    domain = cdr.extra.get("domain_name", "")
    return {
        "accountcode": [cdr.accountcode],
        "domain": [domain],
        "tenant": [cdr.accountcode, domain],
        "direction": [cdr.direction.value],
        "from": [bare(cdr.src)],
        "to": [bare(cdr.dst)],
        "trunk": [one.split("-")[0] for one in (cdr.channel, cdr.dstchannel) if one],
    }[field]


@st.composite
def calls(draw: st.DrawFn, most: int = 6) -> list[CDR]:
    """Some, numbered from 1."""
    return [
        call(
            number,
            accountcode=draw(st.sampled_from(CODES)),
            src=draw(st.sampled_from(WRITTEN)),
            dst=draw(st.sampled_from(WRITTEN)),
            channel=draw(st.sampled_from(CHANNELS)),
            dstchannel=draw(st.sampled_from(CHANNELS)),
            direction=draw(st.sampled_from(Direction)),
            lastdata="",
            extra={"domain_name": domain} if (domain := draw(st.sampled_from(DOMAINS))) else {},
        )
        for number in range(1, draw(st.integers(1, most)) + 1)
    ]
