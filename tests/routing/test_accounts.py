"""api_keys_file: each tenant's calls reach its own account, and no other; mistakes in it are said by their lines."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import CDR
from humbug_agent.destinations.humbug.keys import read_keys
from humbug_agent.ini import ConfigError, Section
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from tests.kit.calls import call
from tests.kit.routed_agent import accepted, config_of, delivered
from tests.kit.rude import Rude
from tests.kit.ruled import CODES, DOMAINS, NUMBERS, RULES, Rule, calls, is_so, said, written
from tests.kit.scripts import bare

KEYS = ("KEY-ONE", "KEY-TWO", "KEY-THREE")


def keys_file(folder: Path, text: str) -> Path:
    path = folder / "keys"
    path.touch(0o600)
    path.write_text(text)
    return path


def keys_of(table: Mapping[str, str], by: str, cdr: CDR) -> set[str]:
    """Those that the call may go to: by each of its values the one that is meant most exactly."""
    found = set()
    table = {bare(one) if by == "to" else one: key for one, key in table.items()}
    for value in said(by, cdr):
        fits = [one for one in table if value == one or (one.endswith("*") and value.startswith(one[:-1]))]
        if fits:
            found.add(table[value if value in fits else max(fits, key=len)])
    return found


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """A field, and keys by its values."""
    by = draw(st.sampled_from(["accountcode", "domain", "tenant", "trunk", "to"]))
    known = {
        "accountcode": CODES,
        "domain": DOMAINS,
        "tenant": CODES + DOMAINS,
        "trunk": ("PJSIP/acme", "PJSIP/beta"),
        "to": (*NUMBERS, "+41*", "＋٤١ (44)*", "0*", "1*", "١٠*"),
    }[by]
    values = st.sampled_from([one for one in known if one])
    return by, draw(st.dictionaries(values, st.sampled_from(KEYS), min_size=1))


@settings(max_examples=40)
@given(tables(), RULES, RULES, st.booleans(), calls(most=8))
def test_no_call_ever_reaches_the_wrong_key(
    table: tuple[str, dict[str, str]], first: Rule, second: Rule, changed: bool, some: list[CDR]
) -> None:
    """Whatever the rules are, and although they are changed while calls wait."""
    by, keys = table
    with TemporaryDirectory() as name, Rude() as server:
        folder = Path(name)
        file = keys_file(folder, "\n".join(f"{value} = {key}" for value, key in keys.items()))
        tenants = f"url = {server.url}\napi_keys_by = {by}\napi_keys_file = {file}\n"
        before = config_of(folder, {"tenants": f"{tenants}only = {written(first)}"})
        accepted(before, some)
        rule = second if changed else first
        delivered(config_of(folder, {"tenants": f"{tenants}only = {written(rule)}"}))
        sent = [(request.form["UniqueID"], request.form["gateway"]) for request in server.requests]
        # Of those that were taken, what by now is another's, or is nobody's, is dead.
        taken = [one for one in some if is_so(first, one)]
        may_go = [one for one in taken if is_so(rule, one) and len(keys_of(keys, by, one)) == 1]
        assert sorted(sent) == sorted((one.uniqueid, *keys_of(keys, by, one)) for one in may_go)
        with Outbox(folder / "outbox.db") as outbox:
            states = queries.by_state(outbox).get("tenants", {"sent": 0, "dead": 0, "waiting": 0})
            untaken, _ = queries.untaken(outbox)
        assert states == {"sent": len(may_go), "dead": len(taken) - len(may_go), "waiting": 0}
        assert untaken == len(some) - len(taken)


def test_a_call_without_a_key_is_dead_and_a_replay_sends_it_once_the_file_is_mended(tmp_path: Path) -> None:
    with Rude() as server:
        keys_file(tmp_path, "\ufeff# of tenants\n\nacme = KEY=WITH=SIGNS==\n")
        tenants = {"tenants": f"url = {server.url}\napi_keys_file = {tmp_path}/keys"}
        config = config_of(tmp_path, tenants)
        accepted(config, [call(1, accountcode="acme"), call(2, accountcode="new"), call(3, accountcode="ACME")])
        delivered(config)
        assert [request.form["gateway"] for request in server.requests] == ["KEY=WITH=SIGNS=="]
        with Outbox(config.agent.outbox) as outbox:
            dead = [entry.error for entry in queries.entries(outbox, queries.Filter(state="dead"))]
            assert dead == [f"no key in {tmp_path}/keys takes accountcode {name!r}" for name in ("new", "ACME")]
            assert queries.replay(outbox, queries.Filter(state="dead")) == 2
        keys_file(tmp_path, "acme = ONE\nnew = TWO\n")
        delivered(config_of(tmp_path, tenants))
        assert [request.form["gateway"] for request in server.requests[1:]] == ["TWO"]


def test_whose_a_call_is_is_told_by_what_its_account_is_not_told(tmp_path: Path) -> None:
    with Rude() as server:
        keys_file(tmp_path, "+41441110001 = ONE\n+41441110002 = TWO\n")
        lines = f"url = {server.url}\napi_keys_by = to\napi_keys_file = {tmp_path}/keys\nmask = last 3"
        config = config_of(tmp_path, {"tenants": lines})
        accepted(config, [call(n, dst=f"+4144111000{n}") for n in (1, 2, 3)])
        (destination,) = config.make_destinations()
        assert destination.preview(call(1, dst="+41441110001")).parameters["Destination"] == "41441110xxx"
        destination.close()
        delivered(config)
        sent = {(request.form["gateway"], request.form["Destination"]) for request in server.requests}
        assert sent == {("ONE", "41441110xxx"), ("TWO", "41441110xxx")}
        with Outbox(config.agent.outbox) as outbox:
            assert [entry.id for entry in queries.entries(outbox, queries.Filter(state="dead"))] == [3]


def test_a_call_over_two_trunks_with_keys_of_their_own_goes_to_neither(tmp_path: Path) -> None:
    with Rude() as server:
        keys_file(tmp_path, "SIP/a = ONE\nSIP/b = TWO\nSIP/c = ONE\n")
        tenants = f"url = {server.url}\napi_keys_by = trunk\napi_keys_file = {tmp_path}/keys"
        config = config_of(tmp_path, {"tenants": tenants})
        channels = [("SIP/a-01", "SIP/b-02"), ("SIP/a-01", "SIP/c-02"), ("SIP/b-01", "")]
        accepted(config, [call(n, channel=a, dstchannel=b) for n, (a, b) in enumerate(channels)])
        delivered(config)
        sent = sorted((request.form["UniqueID"][-1], request.form["gateway"]) for request in server.requests)
        assert sent == [("1", "ONE"), ("2", "TWO")]
        with Outbox(config.agent.outbox) as outbox:
            (dead,) = queries.entries(outbox, queries.Filter(state="dead"))
        assert dead.error == f"several keys in {tmp_path}/keys take trunk 'SIP/a' or 'SIP/b'"


def test_each_mistake_in_the_file_is_said_by_its_line_and_no_key_is(tmp_path: Path) -> None:
    keys_file(
        tmp_path,
        "acme = SECRET1\n= SECRET2\nbeta =\nSECRET3\n# fine\nacme = SECRET4\nx = SECRET5 SECRET6\ny = SECRET7\x07\n"
        '"z" = SECRET8\nz = "SECRET9"\nz* = SECRET10\n* = SECRET11\n',
    )
    with pytest.raises(ConfigError) as caught:
        config_of(tmp_path, {"tenants": f"api_keys_file = {tmp_path}/keys"})
    start = f"{tmp_path}/agent.ini: [destination tenants] api_keys_file: {tmp_path}/keys, line "
    assert caught.value.mistakes == [
        f"{start}2: its value is empty",
        f"{start}3: its key is empty",
        f"{start}4: is not VALUE = KEY",
        f"{start}6: has the value of line 1 again; keep one of them",
        f"{start}7: its key has a blank, or what can't be seen, in it",
        f"{start}8: its key has a blank, or what can't be seen, in it",
        f"{start}9: has quotation marks, which would belong to what is in them; leave them out",
        f"{start}10: has quotation marks, which would belong to what is in them; leave them out",
        f"{start}11: its value ends in *, which stands for what follows a beginning of did, from or to, and for "
        "nothing else",
        f"{start}12: its value ends in *, which stands for what follows a beginning of did, from or to, and for "
        "nothing else",
    ]
    assert "SECRET" not in str(caught.value)


@given(st.one_of(st.text(), st.lists(st.sampled_from(["a", "=", " ", "\n", "#", "*", "SECRET", "\0"])).map("".join)))
def test_of_any_file_it_is_said_what_is_wrong(text: str) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "keys").write_bytes(text.encode("utf-8", "surrogatepass"))
        mistakes: list[str] = []
        section = Section("destination x", {"api_keys_by": "to", "api_keys_file": f"{folder}/keys"}, mistakes)
        keys = read_keys(section)
        assert keys is not None
        assert len(keys) > 0 or mistakes
        # What stands behind a sign is masked wherever secrets are.
        assert {one.reveal() for one in keys.secrets()} <= {one.reveal() for one in section.kept()}
        assert "SECRET" not in "".join(mistakes)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("api_key = k\napi_keys_file = {keys}", "api_key: stands beside api_keys_file; keep one of them"),
        ("api_key = k\napi_keys_by = domain", "api_keys_by: needs api_keys_file beside it"),
        (
            "api_keys_file = {keys}\napi_keys_by = direction",
            "line 1: its value is no direction; there are inbound, outb",
        ),
        ("api_keys_file = {keys}.not", "api_keys_file: the file that is set can't be read: No such file or directory"),
        ("api_keys_file = {keys}\napi_keys_by = accountcod", "did you mean accountcode?"),
    ],
)
def test_what_goes_with_it_and_what_not(tmp_path: Path, lines: str, said: str) -> None:
    file = keys_file(tmp_path, "acme = KEY\n")
    with pytest.raises(ConfigError) as caught:
        config_of(tmp_path, {"tenants": lines.format(keys=file)})
    assert any(said in mistake for mistake in caught.value.mistakes), caught.value.mistakes


def test_a_file_that_everybody_can_read_is_warned_about(tmp_path: Path) -> None:
    file = keys_file(tmp_path, "acme = KEY\n")
    lines = {"tenants": f"url = http://localhost/\napi_keys_file = {file}"}
    assert config_of(tmp_path, lines).warnings == ()
    file.chmod(0o644)
    (said,) = config_of(tmp_path, lines).warnings
    read = f"everybody on this host can read the keys in {file}; chmod 0600 {file}"
    assert said == f"[destination tenants] api_keys_file: {read}"
