"""The rules of `only`: what they are read as, how they are written, what is said of one that is none."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from humbug_agent.cdr import CDR
from humbug_agent.flat import flatten
from humbug_agent.ini import Section
from humbug_agent.routing import only
from humbug_agent.routing.fields import FIELDS
from humbug_agent.routing.only import Only
from humbug_agent.routing.terms import DEEPEST, RESERVED, Both, Comparison, Either, Not, Term, parsed
from tests.kit.calls import call
from tests.kit.ruled import RULES, Rule, calls, is_so, written

PLAIN = [name for name, field in FIELDS.items() if not field.words]

COMPARISONS = st.one_of(
    st.builds(
        lambda field, value, begins: Comparison(field, FIELDS[field].compared(value), begins),
        st.sampled_from(PLAIN),
        st.one_of(st.text(), st.sampled_from(RESERVED)),
        st.booleans(),
    ),
    st.builds(Comparison, st.just("direction"), st.sampled_from(FIELDS["direction"].words)),
)


def several(terms: st.SearchStrategy[Term]) -> st.SearchStrategy[tuple[Term, ...]]:
    return st.lists(terms, min_size=2, max_size=3).map(tuple)


TERMS: st.SearchStrategy[Term] = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(st.builds(Not, inner), st.builds(Both, several(inner)), st.builds(Either, several(inner))),
    max_leaves=8,
)

PIECES = ['"', '""', "(", ")", " ", "\n", "\t", "\u2028", "\0", "+49", *RESERVED, *FIELDS, "acme", "inbound"]


@given(TERMS)
def test_what_is_written_is_read_as_the_same(term: Term) -> None:
    assert parsed(str(term)) == term


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join)))
@example("(" * 5000)
@example("not " * 5000 + "to is 1")
@example("to is 1 and " * 5000 + "to is 1")
@example('"' * 4999)
def test_of_any_text_it_is_said_where_it_is_no_rule(text: str) -> None:
    mistakes: list[str] = []
    found = only.read(Section("destination x", {"only": text}, mistakes))
    # What stands there without a word is not there.
    assert bool(found) is not (bool(mistakes) or not text.strip())
    assert all("[destination x] only: " in said and "(at character " in said for said in mistakes)
    assert found is None or parsed(str(found)) == found.rule


@given(RULES, calls())
def test_a_rule_takes_what_it_says(rule: Rule, some: list[CDR]) -> None:
    takes = Only(parsed(written(rule))).takes(None)
    assert [takes(flatten(one)) for one in some] == [is_so(rule, one) for one in some]


@given(RULES, calls())
def test_a_rule_that_takes_a_call_can_match(rule: Rule, some: list[CDR]) -> None:
    one = Only(parsed(written(rule)))
    for cdr in some:
        assert bool(one.why_not(flatten(cdr), None)) is not is_so(rule, cdr)
        assert not is_so(rule, cdr) or one.can_match()


@pytest.mark.parametrize(
    "text",
    [
        "accountcode is a and accountcode is b",
        "direction is inbound and direction is outbound",
        "direction is not inbound and direction is not outbound and direction is not internal "
        "and direction is not unknown",
        "to is 101 and to is 102",
        "to starts with +49 and to starts with +41",
        "tenant is a and tenant is b and accountcode is c",
        "accountcode starts with ab and not accountcode starts with a",
    ],
)
def test_a_rule_that_no_call_can_meet_is_known(text: str) -> None:
    assert not Only(parsed(text)).can_match()


@pytest.mark.parametrize(
    "text",
    [
        "to is 0445550123 and to is +41445550123",
        "tenant is a and tenant is b",
        "trunk is PJSIP/a and trunk is PJSIP/b",
        "accountcode starts with a and accountcode is not a",
        " or ".join(f"(accountcode is a{n} and domain is b{n} and to is c{n} and from is d{n})" for n in range(20)),
    ],
)
def test_one_that_a_call_can_meet_is_not_taken_for_it(text: str) -> None:
    assert Only(parsed(text)).can_match()


FIELD = "a field belongs: accountcode, domain, tenant, trunk, did, direction, from, to"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("acountcode is x", f"1: 'acountcode' stands where {FIELD}; did you mean accountcode?"),
        ("accountcode acme", "13: 'acme' stands where is, is not, or starts with belongs"),
        ("accountcode is", "15: the end stands where the value of accountcode belongs"),
        (
            "accountcode is acme corp",
            "21: 'corp' stands where and, or, or the end belongs; a value with blanks stands in quotation marks",
        ),
        ("to is and", "7: 'and' stands where the value of to belongs, in quotation marks if it is that"),
        ("accountcode is 'acme'", '16: "\'acme\'" stands in other quotation marks than ""'),
        ("accountcode is \u201cacme\u201d", "16: '\u201cacme\u201d' stands in other quotation marks than \"\""),
        ('accountcode is "acme', "16: this quotation mark has none that ends it"),
        (
            "direction is inbund",
            "14: 'inbund' is no direction; there are inbound, outbound, internal, unknown; did you mean inbound?",
        ),
        ("direction starts with in", "11: of direction only is and is not can be said"),
        ("(to is 1", "9: the end stands where and, or, or ) belongs"),
        ("to is 1)", "8: this ) has no ( before it"),
        ("to is 1 and", f"12: the end stands where {FIELD}"),
        ("(" * 30, f"{DEEPEST + 2}: more than {DEEPEST} parentheses and nots are within each other"),
    ],
)
def test_a_mistake_is_said_with_its_place_and_what_may_stand_there(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="at character") as caught:
        parsed(text)
    assert str(caught.value) == f"at character {said}"


def test_what_stands_on_several_lines_is_one_rule() -> None:
    mistakes: list[str] = []
    section = Section("destination x", {"only": "accountcode is acme\nor accountcode is beta"}, mistakes)
    assert str(only.read(section)) == "accountcode is acme or accountcode is beta"
    assert mistakes == []


def test_why_a_call_is_not_taken_is_said_by_what_it_says() -> None:
    rule = Only(parsed("accountcode is acme and (to starts with +49 or trunk is PJSIP/x)"))
    why = rule.why_not(flatten(call(1, dst="0041445550123", extra={})), "CH")
    assert why == (
        "only = accountcode is acme and (to starts with +49 or trunk is PJSIP/x); "
        "it has accountcode 'acct', to '0041445550123' or '+41445550123', trunk 'PJSIP/101'"
    )
