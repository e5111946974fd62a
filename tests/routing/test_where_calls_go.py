"""`only` from the log to the outbox and back: what is left out, what nobody takes, and how that is handed out anew."""

import logging
import threading
import time
from pathlib import Path

import pytest

from humbug_agent.cli.explaining import explained
from humbug_agent.config import load
from humbug_agent.daemon.agent import read_once
from humbug_agent.outbox import queries, schema
from humbug_agent.outbox.dropping import Piecemeal, forget_delivered
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.outbox.queries import UNTAKEN, Entry, Filter
from humbug_agent.outbox.untaken import hand_out_anew
from humbug_agent.status.gather import gather
from tests.kit.calls import call
from tests.kit.cdr_csv import call as columns
from tests.kit.cdr_csv import line
from tests.kit.routed_agent import accepted, config_of, delivered
from tests.kit.rude import Rude

BY_TENANT = {
    "acme": "api_key = A\nonly = accountcode is acme",
    "beta": "api_key = B\nonly = accountcode is beta and not to starts with 1",
}


def entries(outbox: Outbox, **wanted: str) -> list[Entry]:
    return list(queries.entries(outbox, Filter(**wanted)))  # type: ignore[arg-type]


def deliveries(outbox: Outbox) -> set[tuple[int, str]]:
    return {(entry.id, entry.destination) for entry in entries(outbox)}


def write(folder: Path, *codes: str) -> None:
    with (folder / "Master.csv").open("ab") as master:
        for number, code in enumerate(codes):
            master.write(
                line(columns(accountcode=code.encode(), dst=b"%d" % number, uniqueid=b"1795194393.%d" % number))
            )


def test_a_call_gets_a_delivery_to_those_who_take_it(tmp_path: Path) -> None:
    config = config_of(tmp_path, {**BY_TENANT, "all": "api_key = C"})
    accepted(config, [call(1, accountcode="acme"), call(2, accountcode="beta"), call(3, accountcode="beta", dst="1")])
    with Outbox(config.agent.outbox) as outbox:
        assert deliveries(outbox) == {(1, "acme"), (1, "all"), (2, "beta"), (2, "all"), (3, "all")}
        assert queries.untaken(outbox) == (0, None)


def test_what_nobody_takes_is_counted_named_and_handed_out_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_of(tmp_path, BY_TENANT)
    write(tmp_path, "acme", "gamma", "beta", "beta")
    with Outbox(config.agent.outbox) as outbox, caplog.at_level(logging.INFO):
        read_once(config, outbox, threading.Event(), lambda _: None)
        assert deliveries(outbox) == {(1, "acme"), (3, "beta"), (4, "beta")}
        said = (
            "source csv: no destination takes 1 call, the last of them 2; see humbug-agent outbox list --state untaken"
        )
        assert said in caplog.messages
        status = gather(config, config.make_sources(), time.time(), None)
        assert (status.untaken, status.last_untaken, status.calls) == (1, 2, 4)
        (entry,) = entries(outbox, state=UNTAKEN)
        assert (entry.id, entry.error) == (2, "no destination takes it")
        assert queries.newest(outbox, Filter(state=UNTAKEN), 5) == [entry]
        assert queries.count(outbox, Filter(state=UNTAKEN)) == 1
        assert queries.count(outbox, Filter(state=UNTAKEN, number="555")) == 0

        # Read again it is no other call; and nobody has it as long as nobody takes it.
        assert hand_out_anew(outbox, Filter(state=UNTAKEN), config.takers(), lambda _: None) == 0
        mended = config_of(tmp_path, {**BY_TENANT, "gamma": "api_key = G\nonly = accountcode starts with ga"})
        assert hand_out_anew(outbox, Filter(state=UNTAKEN), mended.takers(), lambda _: None) == 1
        assert (2, "gamma") in deliveries(outbox)
        assert queries.untaken(outbox) == (0, None)


def test_what_nobody_takes_is_kept_as_long_as_what_was_delivered_and_can_be_purged(tmp_path: Path) -> None:
    config = config_of(tmp_path, BY_TENANT)
    accepted(config, [call(number, accountcode="gamma") for number in range(4)])
    with Outbox(config.agent.outbox) as outbox:
        assert queries.purge(outbox, Filter(state=UNTAKEN, ids=(1, 2))) == 2
        assert [entry.id for entry in entries(outbox, state=UNTAKEN)] == [3, 4]
        assert forget_delivered(Piecemeal(outbox), time.time() - 60) == 0
        assert forget_delivered(Piecemeal(outbox), time.time() + 60) == 2
        assert queries.untaken(outbox) == (0, None)
    accepted(config, [call(number, accountcode="acme") for number in range(4)])
    with Outbox(config.agent.outbox) as outbox:
        assert entries(outbox) == []


def test_what_waits_and_is_no_longer_the_destinations_is_not_sent(tmp_path: Path) -> None:
    with Rude() as server:
        lines = f"url = {server.url}\napi_key = A\n"
        accepted(config_of(tmp_path, {"acme": lines}), [call(1, accountcode="acme"), call(2, accountcode="beta")])
        config = config_of(tmp_path, {"acme": f"{lines}only = accountcode is acme"})
        delivered(config)
        assert [request.form["UniqueID"] for request in server.requests] == [call(1).uniqueid]
        with Outbox(config.agent.outbox) as outbox:
            (dead,) = entries(outbox, state="dead")
            assert dead.error == "[destination acme] only, as it is now, leaves it out"
            queries.replay(outbox, Filter(state="dead"))
        delivered(config_of(tmp_path, {"acme": lines}))
        assert len(server.requests) == 2


def test_after_a_damage_no_call_goes_where_it_is_left_out(tmp_path: Path) -> None:
    config = config_of(tmp_path, BY_TENANT)
    accepted(config, [call(number, accountcode=code) for number, code in enumerate(["acme", "beta", "gamma", "acme"])])
    path = config.agent.outbox
    with Outbox(path) as outbox:
        outbox.mark("acme", [Mark(1, "sent", 1.0)])
    _, found = schema.move_aside(path, destinations=config.takers())
    assert (found.lost, found.unsure) == (0, 0)
    with Outbox(path) as outbox:
        assert deliveries(outbox) == {(2, "beta"), (4, "acme")}
        assert queries.untaken(outbox) == (1, 3)


def test_explain_says_who_takes_a_call_and_who_does_not_and_why(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("beta = B\n")
    keys = {"several": f"api_keys_file = {tmp_path}/keys", "one": "api_key = C"}
    found = explained(config_of(tmp_path, {**BY_TENANT, **keys}), call(1, accountcode="acme"))
    assert [*found["destinations"]] == ["acme", "several", "one"]
    assert found["left_out"] == {
        "beta": "only = accountcode is beta and not to starts with 1; it has accountcode 'acme', to '+41440000001'"
    }
    nothing = f"nothing is sent: no key in {tmp_path}/keys takes accountcode 'acme'"
    assert found["destinations"]["several"] == {"parameters": {}, "body": nothing}


def test_a_rule_that_no_call_can_meet_is_warned_about(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"a": "url = http://localhost/\napi_key = A\nonly = to is 1 and to is 2"})
    assert config.warnings == ("[destination a] only: no call can ever be taken by it: to is 1 and to is 2",)


def test_of_an_asterisk_alone_a_rule_that_asks_for_the_direction_is_warned_about(tmp_path: Path) -> None:
    own = "url = http://localhost/\napi_key = A\nonly = direction is"
    config = config_of(tmp_path, {"a": f"{own} inbound", "b": f"{own} not inbound", "c": f"{own} inbound or to is 1"})
    assert config.warnings == (
        "[destination a] only: no call can ever be taken by it: direction is inbound; Asterisk does not tell a call's "
        "direction, which is always unknown, so ask for trunk instead",
    )
    hosted = "[source b]\ntype = boxis\nusername = u\nuser_key = k\ntenants = T\n"
    (tmp_path / "agent.ini").write_text((tmp_path / "agent.ini").read_text() + hosted)
    assert load(tmp_path / "agent.ini").warnings == ()
