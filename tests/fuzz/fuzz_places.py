"""Targets for what says which calls go where, and for what is hidden there."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from humbug_agent.cdr import CDR
from humbug_agent.destinations.contract import Unsendable
from humbug_agent.destinations.humbug.keys import read_keys
from humbug_agent.destinations.masking import Masking
from humbug_agent.destinations.settings import LAST_THREE, PSEUDONYM, Privacy
from humbug_agent.flat import flatten, texts
from humbug_agent.ini import Secret, Section
from humbug_agent.routing import only as rules
from humbug_agent.routing.fields import FIELDS
from humbug_agent.routing.only import Only
from humbug_agent.routing.terms import Not, parsed
from tests.fuzz.fuzz_web import memory
from tests.kit.calls import call
from tests.kit.scripts import bare

COUNTRIES = (None, "CH")


def only(data: bytes) -> None:
    """A rule, which is one or has a mistake; it takes a call where its contrary does not."""
    text = data.decode("utf-8", "surrogateescape")
    mistakes: list[str] = []
    found = rules.read(Section("destination x", {"only": text}, mistakes))
    assert bool(found) is not (bool(mistakes) or not text.strip()), mistakes
    if not found:
        return
    assert parsed(str(found)) == found.rule
    possible, contrary = found.can_match(), Only(Not(found.rule))
    for country in COUNTRIES:
        takes, not_taken = found.takes(country), contrary.takes(country)
        for cdr in _asked_for((one.field, one.value) for one in found.rule.comparisons()):
            flat = flatten(cdr)
            assert takes(flat) is not not_taken(flat)
            assert takes(flat) is not bool(found.why_not(flat, country))
            assert possible or not takes(flat), cdr


def api_keys_file(data: bytes) -> None:
    """The first byte says the field; the rest is the file. A call has the key of the line that fits best, or none."""
    by = list(FIELDS)[data[0] % len(FIELDS)] if data else "accountcode"
    with tempfile.NamedTemporaryFile(dir=memory()) as file:
        file.write(data[1:])
        file.flush()
        mistakes: list[str] = []
        keys = read_keys(Section("destination x", {"api_keys_by": by, "api_keys_file": file.name}, mistakes))
    said = "".join(mistakes).replace(file.name, "")
    lines = [line.partition("=") for line in data[1:].decode("utf-8", "ignore").split("\n")]
    # Whatever is as long as a key is no word of the agent's own.
    assert not [part for value, _, key in lines for part in (value.strip(), key.strip()) if _tells(part, said)]
    assert keys is not None
    if mistakes:
        return
    table = {value: account.key for value, account in keys.whole.items()}
    table |= {f"{value}*": account.key for value, account in keys.begun.items()}
    for country in COUNTRIES:
        for cdr in _asked_for((by, value.removesuffix("*")) for value in table):
            wanted = set()
            for value in FIELDS[by].values(flatten(cdr), country):
                fits = [one for one in table if one.endswith("*") and value.startswith(one[:-1])]
                if value in keys.whole or fits:
                    wanted.add(table[value if value in keys.whole else max(fits, key=len)])
            got = set()
            with suppress(Unsendable):
                got.add(keys.account(flatten(cdr), country).key)
            assert got == (wanted if len(wanted) == 1 else set())


def hidden(data: bytes) -> None:
    """Any text beside a number, of which nobody is told."""
    text = data.decode("utf-8", "replace")
    said = {"src": "+49301234567", "clid": '"Quyx Wrzk" <+49301234567>', "extra": {"a": text, text: "a"}}
    cdr = call(1, channel=text, lastdata=f"SIP/{text}", userfield=text, **said)
    for mask in (LAST_THREE, PSEUDONYM):
        told = Masking(Privacy(mask, False, Secret("x" * 16)), "DE", Path("not-asked-for"))(flatten(cdr))
        values = [told.channel, told.lastdata, told.userfield, told.clid, *texts(told.extra).values()]
        assert "301234567" not in bare("\n".join((*values, told.src, told.extra))), values
        # What a PBX calls its fields is nobody's name.
        assert "quyx wrzk" not in "\n".join(values).lower(), values


def _asked_for(values: Iterator[tuple[str, str]]) -> Iterator[CDR]:
    """Calls that say what is asked for, more than that, and something else; the first eight values of it."""
    for _, (field, value) in zip(range(8), values, strict=False):
        for text in (value, f"{value}1"):
            with suppress(ValueError):
                yield call(1, **FIELDS[field].made(text))
    yield call(2, src="+٤١ 44 555 01 23", dst="0445550123", extra={"domain_name": "acme"})


def _tells(part: str, said: str) -> bool:
    return len(part) > 30 and part in said


TARGETS: Mapping[str, Any] = {"only": only, "api_keys_file": api_keys_file, "hidden": hidden}
