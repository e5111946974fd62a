"""/metrics from a real outbox and a real board; the dashboard and the alert rules name what is there, and fire."""

import itertools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from humbug_agent import __version__
from humbug_agent.board.lines import Line, Lines
from humbug_agent.board.model import Board, Channel, Figures, Member, QueueCall, State, View
from humbug_agent.board.settings import QueuesSettings, Thresholds
from humbug_agent.cdr import Batch
from humbug_agent.config import Config
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.status.document import Status
from humbug_agent.status.gather import gather
from humbug_agent.web.metrics import MOST_QUEUES, MOST_TRUNKS, OTHERS, metrics
from tests.kit.agent_ini import config_of
from tests.kit.calls import batch, reject

DATA = files("humbug_agent") / "data"
DASHBOARD = json.loads((DATA / "grafana-dashboard.json").read_text())
GROUPS = yaml.safe_load((DATA / "prometheus-alerts.yml").read_text())["groups"]
ALERTS = [rule for group in GROUPS for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
SHOWN = [(target["legendFormat"], target["expr"]) for panel in PANELS for target in panel["targets"]]
SHOWN += [(str(alert["annotations"]), alert["expr"]) for alert in ALERTS]
PROMTOOL = shutil.which("promtool")

LABELS = {"version", "source", "destination", "board", "queue", "state", "figure", "technology", "trunk"}
GIVEN_BY_PROMETHEUS = {"instance", "job"}

THRESHOLDS = QueuesSettings(
    usual=Thresholds(target=80, warn_wait=60, critical_wait=120),
    named={"sales": Thresholds(warn_waiting=2, critical_waiting=4)},
)

Sample = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "Master.csv").touch()
    ami = "[source ami]\ntype = asterisk_ami\nusername = u\nsecret = s"
    return config_of(tmp_path, "max_size_mb = 1", more=ami)


@pytest.fixture
def outbox(config: Config) -> Iterator[Outbox]:
    """Three calls of csv: one sent, one dead, one waiting; a reject; all parts well."""
    with Outbox(config.agent.outbox) as box:
        box.accept("csv", Batch(batch(1, 2, 3).records, [reject(b"what")], ""), ["humbug"])
        box.mark("humbug", [Mark(1, "sent", 1.0), Mark(2, "dead", 1.0)])
        for part in ("source csv", "source ami", "destination humbug"):
            box.report(part, "ok")
        yield box


def stands(config: Config) -> Status:
    return gather(config, config.make_sources(), time.time(), os.getpid())


def with_hosted(found: Status) -> Status:
    """The same with a hosted PBX as a source, which is asked for its calls."""
    cloud = replace(found.sources["csv"], unread_bytes=None, unread_seconds=93_600)
    return replace(found, sources={**found.sources, "cloud": cloud})


def board(
    queues: Sequence[str] = ("support",),
    calls: Sequence[QueueCall] = (),
    members: Sequence[Member] = (),
    figures: Mapping[str, Figures] | None = None,
    lines: Lines | None = None,
) -> View:
    made = Board("ami")
    channels = [Channel(uniqueid=f"1.{n}", channel=f"SIP/{n}-1", state=state) for n, state in enumerate(State)]
    made.replace(channels, queues, calls, members, figures or {})
    made.put_lines(lines)
    return made.view()


LINES = Lines(
    (
        Line(technology="SIP", name="0", trunk=True, state="registered", up=True, device="SIP/0"),
        Line(technology="IAX2", name="me@far", trunk=True, state="rejected", up=False),
        Line(technology="SIP", name="fax", trunk=True, state="not monitored", up=None, device="SIP/fax"),
        Line(technology="SIP", name="101", trunk=False, state="registered", up=True, device="SIP/101"),
        Line(technology="SIP", name="102", trunk=False, state="not registered", up=False, device="SIP/102"),
    ),
    1.0,
)
"""Of trunks and phones every kind."""


def test_trunks_and_phones_are_told_as_far_as_they_are_known(config: Config, outbox: Outbox) -> None:
    def read(lines: Lines | None) -> dict[tuple[str, ...], float]:
        body, _ = metrics(stands(config), "", [board(lines=lines)], {})
        return {
            (one.name, *one.labels.values()): one.value
            for family in text_string_to_metric_families(body.decode())
            for one in family.samples
            if one.name.startswith(("humbug_trunk", "humbug_phones"))
        }

    assert read(LINES) == {
        ("humbug_trunk_up", "ami", "SIP", "0"): 1,
        ("humbug_trunk_up", "ami", "IAX2", "me@far"): 0,
        ("humbug_trunk_channels", "ami", "SIP", "0"): 1,
        ("humbug_trunk_channels", "ami", "SIP", "fax"): 0,
        ("humbug_phones", "ami", "registered"): 1,
        ("humbug_phones", "ami", "missing"): 1,
    }
    assert read(None) == {}
    assert ("humbug_phones", "ami", "missing") not in read(replace(LINES, missing_told=False))
    assert not [one for one in read(replace(LINES, phones_told=False)) if one[0] == "humbug_phones"]
    # As many series as anybody has trunks, and no more.
    crowd = Lines(tuple(replace(LINES.found[0], name=str(number)) for number in range(2 * MOST_TRUNKS)), 1.0)
    assert len([one for one in read(crowd) if one[0] == "humbug_trunk_up"]) == MOST_TRUNKS


def counted(completed: int = 20, abandoned: int = 3, target: int = 30) -> Figures:
    return Figures(completed=completed, abandoned=abandoned, hold=17, talk=184, level=82.5, target=target)


def waiting(queue: str, seconds: float, number: int = 0) -> QueueCall:
    return QueueCall(uniqueid=f"2.{number}", queue=queue, channel="SIP/1-1", entered=time.time() - seconds)


def connected(queue: str, number: int = 0) -> QueueCall:
    return QueueCall(uniqueid=f"3.{number}", queue=queue, channel="SIP/1-1", entered=1.0, agent="SIP/2", waited=3)


def member(queue: str, state: str, *, paused: bool = False, number: int = 0) -> Member:
    return Member(queue=queue, interface=f"SIP/{state}{number}", name="", state=state, paused=paused)


def numbers(
    found: Status | None,
    error: str = "",
    views: Sequence[View] = (),
    sent: Mapping[str, Any] | None = None,
    thresholds: QueuesSettings = THRESHOLDS,
) -> dict[Sample, float]:
    """What Prometheus would read. No series is there twice."""
    body, kind = metrics(found, error, views, sent or {"humbug": (31, 7)}, thresholds)
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    samples = [sample for family in text_string_to_metric_families(body.decode()) for sample in family.samples]
    read = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(read) == len(samples)
    return read


def of(read: Mapping[Sample, float], name: str, *values: str) -> float | None:
    """The value of ``name`` with these label values; None where there is none."""
    found = [value for (its, labels), value in read.items() if its == name and {v for _, v in labels} == set(values)]
    return found[0] if found else None


def names(read: Mapping[Sample, float]) -> set[str]:
    return {name for name, _ in read}


@pytest.fixture
def everything(config: Config, outbox: Outbox) -> dict[Sample, float]:
    """All numbers there are."""
    calls = [waiting("support", 5), connected("support")]
    view = board(calls=calls, members=[member("support", "idle")], figures={"support": counted()})
    return numbers(stands(config), "", [view])


def test_the_numbers_are_those_of_status(everything: dict[Sample, float]) -> None:
    assert of(everything, "humbug_info", __version__) == 1
    assert of(everything, "humbug_outbox_up") == 1
    assert of(everything, "humbug_outbox_max_bytes") == 2**20
    assert 0 < (of(everything, "humbug_outbox_bytes") or 0) < 2**20
    assert [of(everything, "humbug_calls_total", source) for source in ("csv", "ami")] == [3, 0]
    assert [of(everything, "humbug_rejects_total", source) for source in ("csv", "ami")] == [1, 0]
    assert [of(everything, "humbug_source_up", source) for source in ("csv", "ami")] == [1, 1]
    states = ("waiting", "sent", "dead")
    assert [of(everything, "humbug_deliveries", "humbug", state) for state in states] == [1, 1, 1]
    assert of(everything, "humbug_destination_up", "humbug") == 1
    assert 0 <= (of(everything, "humbug_oldest_waiting_seconds", "humbug") or 0) < 30
    assert of(everything, "humbug_delivered_total", "humbug") == 31
    assert of(everything, "humbug_delivery_attempts_failed_total", "humbug") == 7


def test_rejects_that_are_dropped_stay_counted_but_are_not_there(config: Config, outbox: Outbox) -> None:
    assert of(numbers(stands(config)), "humbug_rejects", "csv") == 1
    queries.drop_rejects(outbox, [1])
    read = numbers(stands(config))
    assert of(read, "humbug_rejects", "csv") == 0
    assert of(read, "humbug_rejects_total", "csv") == 1


def test_what_can_not_be_known_has_no_number(everything: dict[Sample, float]) -> None:
    assert of(everything, "humbug_source_unread_bytes", "csv") == 0
    assert of(everything, "humbug_source_unread_bytes", "ami") is None
    assert of(everything, "humbug_source_last_read_age_seconds", "csv") is not None
    assert of(everything, "humbug_source_last_read_age_seconds", "ami") is None


def test_of_a_hosted_pbx_the_time_that_is_left_to_ask_for(config: Config, outbox: Outbox) -> None:
    read = numbers(with_hosted(stands(config)))
    assert of(read, "humbug_source_unread_seconds", "cloud") == 93_600
    assert of(read, "humbug_source_unread_bytes", "cloud") is None
    assert of(read, "humbug_source_unread_seconds", "csv") is None


def test_calls_that_are_dropped_stay_counted(config: Config, outbox: Outbox) -> None:
    queries.purge(outbox, queries.Filter())
    read = numbers(stands(config))
    assert of(read, "humbug_calls_total", "csv") == 3
    assert not of(read, "humbug_deliveries", "humbug", "sent")
    assert of(read, "humbug_oldest_waiting_seconds", "humbug") == 0


def test_what_fails_is_down_and_what_has_not_said_anything_is_neither(config: Config, outbox: Outbox) -> None:
    outbox.forget_health()
    # Its calls are still there, its section in agent.ini is not.
    outbox.accept("csv", batch(4, cursor=None), ["former"])
    outbox.report("source csv", "failing", "permission denied")
    read = numbers(stands(config))
    assert of(read, "humbug_source_up", "csv") == 0
    assert of(read, "humbug_source_up", "ami") is None
    assert of(read, "humbug_destination_up", "former") is None
    assert of(read, "humbug_deliveries", "former", "waiting") == 1
    outbox.report("destination humbug", "paused", "answered 401")
    assert of(numbers(stands(config)), "humbug_destination_up", "humbug") == 0


@pytest.mark.parametrize("stale", [False, True])
def test_an_outbox_that_can_not_be_read_has_no_numbers_but_the_rest_has(
    config: Config, outbox: Outbox, stale: bool
) -> None:
    read = numbers(stands(config) if stale else None, "outbox: its disk is full", [board()])
    assert of(read, "humbug_outbox_up") == 0
    assert not {
        name for name in names(read) if re.match("humbug_(outbox_.*bytes|source|calls|rejects|deliveries)", name)
    }
    assert of(read, "humbug_delivered_total", "humbug") == 31
    assert of(read, "humbug_board_live", "ami") == 1


def test_a_board_that_is_away_tells_that_and_no_channels(config: Config, outbox: Outbox) -> None:
    away = Board("ami")
    read = numbers(stands(config), "", [away.view()])
    assert of(read, "humbug_board_live", "ami") == 0
    assert names(read) & {"humbug_board_confirmed_age_seconds", "humbug_channels", "humbug_queue_calls"} == set()
    away.replace([], ["support"], [], [])
    away.away("AMI 127.0.0.1:5038: connection refused")
    read = numbers(stands(config), "", [away.view()])
    assert 0 <= (of(read, "humbug_board_confirmed_age_seconds", "ami") or 0) < 30
    assert names(read) & {"humbug_channels", "humbug_queue_calls", "humbug_queue_members"} == set()


def test_channels_callers_and_members_are_counted_by_state() -> None:
    calls = [waiting("support", 5, 1), waiting("support", 90, 2), connected("support"), waiting("sales", 1, 3)]
    members = [
        member("support", "idle"),
        member("support", "in use"),
        member("support", "ringing", paused=True),
        member("sales", "a word of another PBX"),
    ]
    read = numbers(None, "", [board(["support", "sales", "nobody"], calls, members)])
    assert [of(read, "humbug_channels", "ami", state) for state in State] == [1, 1, 1, 1]
    assert of(read, "humbug_queue_calls", "ami", "support", "waiting") == 2
    assert of(read, "humbug_queue_calls", "ami", "support", "connected") == 1
    assert of(read, "humbug_queue_calls", "ami", "nobody", "waiting") == 0
    assert of(read, "humbug_queue_longest_wait_seconds", "ami", "support") == pytest.approx(90, abs=10)
    assert of(read, "humbug_queue_longest_wait_seconds", "ami", "nobody") == 0
    assert [of(read, "humbug_queue_members", "ami", "support", state) for state in ("idle", "in use", "paused")] == [
        1
    ] * 3
    assert of(read, "humbug_queue_members", "ami", "support", "ringing") is None
    assert [of(read, "humbug_queue_members", "ami", "sales", state) for state in ("idle", "unknown")] == [0, 1]


@given(st.sets(st.one_of(st.text(max_size=20), st.sampled_from(['"', "\\", "\n", '\\n"} 1', "{x}", "# HELP", "\r"]))))
def test_a_queue_may_have_any_name(queues: set[str]) -> None:
    read = numbers(None, "", [board(sorted(queues))])
    assert {dict(labels)["queue"] for name, labels in read if name == "humbug_queue_longest_wait_seconds"} == queues


def test_there_is_no_end_of_queues_but_of_series() -> None:
    queues = [OTHERS, *(f"q{number:04}" for number in range(1000))]
    calls = [waiting(queue, number, number) for number, queue in enumerate(queues)]
    members = [member(queue, f"state {number}") for number, queue in enumerate(queues)]
    read = numbers(None, "", [board(queues, calls, members)])
    assert min(queues) == OTHERS
    assert len(read) < 8 * MOST_QUEUES
    counted = {labels: value for (name, labels), value in read.items() if name == "humbug_queue_calls"}
    assert sum(counted.values()) == len(queues)
    assert of(read, "humbug_queue_calls", "ami", OTHERS, "waiting") == 1 + len(queues) - MOST_QUEUES
    assert of(read, "humbug_queue_calls", "ami", f"q{MOST_QUEUES - 2:04}", "waiting") == 1
    assert of(read, "humbug_queue_longest_wait_seconds", "ami", OTHERS) == pytest.approx(1000, abs=10)
    assert sum(value for (name, _), value in read.items() if name == "humbug_queue_members") == len(queues)


def test_it_takes_no_time_worth_mentioning(config: Config, outbox: Outbox) -> None:
    queues = [f"q{number}" for number in range(20)]
    found, view = stands(config), board(queues, [], [member(queue, "idle") for queue in queues])

    def seconds() -> float:
        began = time.perf_counter()
        metrics(found, "", [view], {"humbug": (1, 2)})
        return time.perf_counter() - began

    assert min(seconds() for _ in range(20)) < 0.005


def test_what_the_pbx_counted_of_a_queue_is_told(everything: dict[Sample, float]) -> None:
    told = {
        name.removeprefix("humbug_queue_"): value
        for (name, labels), value in everything.items()
        if name.startswith("humbug_queue_") and labels == {("board", "ami"), ("queue", "support")}
    }
    del told["longest_wait_seconds"]
    assert told == {
        "completed_total": 20, "abandoned_total": 3, "hold_seconds": 17, "talk_seconds": 184,
        "service_level_ratio": 0.825, "service_level_seconds": 30,
    }  # fmt: skip


def test_a_share_of_no_calls_or_of_no_target_has_no_sample() -> None:
    figures = {"new": counted(completed=0), "free": counted(target=0)}
    read = numbers(None, "", [board(("new", "free", "freeswitch"), figures=figures)])
    assert of(read, "humbug_queue_completed_total", "ami", "new") == 0
    assert of(read, "humbug_queue_completed_total", "ami", "freeswitch") is None
    assert "humbug_queue_service_level_ratio" not in names(read)
    assert of(read, "humbug_queue_service_level_seconds", "ami", "new") == 30
    assert of(read, "humbug_queue_service_level_seconds", "ami", "free") is None


def test_of_the_queues_that_are_summed_up_there_are_sums_and_no_averages() -> None:
    queues = [f"q{number:03}" for number in range(MOST_QUEUES + 3)]
    read = numbers(None, "", [board(queues, figures={queue: counted() for queue in queues})])
    assert of(read, "humbug_queue_abandoned_total", "ami", OTHERS) == 9
    assert of(read, "humbug_queue_hold_seconds", "ami", OTHERS) is None
    assert of(read, "humbug_queue_hold_seconds", "ami", "q000") == 17


def test_labels_are_those_that_have_an_end_and_names_are_as_prometheus_wants_them(
    config: Config, outbox: Outbox
) -> None:
    found = with_hosted(stands(config))
    view = board(figures={"support": counted()}, lines=LINES)
    body, _ = metrics(found, "", [view], {"humbug": (1, 2)}, THRESHOLDS)
    for family in text_string_to_metric_families(body.decode()):
        assert family.name.startswith("humbug_")
        assert re.fullmatch(r"[A-Zm1].{10,}\.", family.documentation), family.documentation
        assert family.samples
        for sample in family.samples:
            assert sample.labels.keys() <= LABELS
            assert sample.name.endswith("_total") == (family.type == "counter")
    if PROMTOOL:
        done = subprocess.run([PROMTOOL, "check", "metrics"], input=body, capture_output=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, b"")


# The dashboard and the alert rules.


def named(expression: str) -> set[str]:
    """The metrics in a PromQL expression."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    words = re.findall(r"(?<![\w.])([a-zA-Z_:][\w:]*)\b(?!\s*\()", bare)
    return set(words) - {"and", "or", "unless", "by", "without", "on", "ignoring"}


def labels_asked_for(expression: str) -> Iterator[tuple[str, str]]:
    """Metric and label, for each selector and each grouping."""
    for metric, selector in re.findall(r"([\w:]+)\{([^}]*)\}", expression):
        yield from ((metric, label) for label in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', selector))
    for grouping in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression):
        yield from ((metric, label.strip()) for metric in named(expression) for label in grouping.split(","))


def test_the_names_in_an_expression_are_found() -> None:
    assert named('sum by (source) (rate(a_total{x="and b"}[5m])) * 60 / on (c) d > 1e6 or absent(up{job="e"})') == {
        "a_total", "d", "up",
    }  # fmt: skip
    assert list(labels_asked_for('sum by (s) (a{x="1", y=~"2"})')) == [("a", "x"), ("a", "y"), ("a", "s")]


@pytest.fixture
def there(everything: dict[Sample, float]) -> dict[str, set[str]]:
    """Metric -> its labels."""
    found: dict[str, set[str]] = {"up": set(GIVEN_BY_PROMETHEUS)}
    for name, labels in everything:
        found.setdefault(name, set(GIVEN_BY_PROMETHEUS)).update(label for label, _ in labels)
    return found


@pytest.mark.parametrize("expression", [*QUERIES, *(alert["expr"] for alert in ALERTS)])
def test_every_metric_and_label_in_dashboard_and_alerts_exists(expression: str, there: dict[str, set[str]]) -> None:
    assert named(expression)
    assert named(expression) <= there.keys()
    assert [(metric, label) for metric, label in labels_asked_for(expression) if label not in there[metric]] == []


@pytest.mark.parametrize(("shown", "expression"), SHOWN)
def test_every_label_that_is_shown_exists(shown: str, expression: str, there: dict[str, set[str]]) -> None:
    wanted = set(re.findall(r"\{\{(\w+)\}\}|\$labels\.(\w+)", shown))
    assert all({legend or annotation} <= there[metric] for legend, annotation in wanted for metric in named(expression))


def test_every_metric_is_in_the_dashboard(everything: dict[Sample, float]) -> None:
    assert set().union(*(named(query) for query in QUERIES)) == names(everything)


def test_the_dashboard_can_be_imported_anywhere() -> None:
    assert DASHBOARD["id"] is None
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "instance"]
    assert named(DASHBOARD["templating"]["list"][1]["definition"].replace("label_values", "")) <= {
        "humbug_info",
        "instance",
    }
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] if panel["type"] != "state-timeline" else True
        assert {one["datasource"]["uid"] for one in [panel, *panel["targets"]]} == {"${datasource}"}
        assert all('instance="$instance"' in target["expr"] for target in panel["targets"])


def test_no_panel_lies_on_another() -> None:
    places = [
        {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        for at in (panel["gridPos"] for panel in DASHBOARD["panels"])
    ]
    assert all(not one & other for one, other in itertools.combinations(places, 2))
    assert max(x for place in places for x, _ in place) == 23


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_what_it_means_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert "$labels.instance" in alert["annotations"]["summary"]
    assert len(alert["annotations"]["description"]) > 80


@pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed")
def test_prometheus_takes_the_rules_and_the_queries(tmp_path: Path) -> None:
    queries = [query.replace("$__rate_interval", "5m") for query in QUERIES]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    panels = tmp_path / "panels.yml"
    panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    command = [str(PROMTOOL), "check", "rules", "--lint-fatal", str(DATA / "prometheus-alerts.yml"), str(panels)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_figures_beyond_their_thresholds_are_told_as_alarms(config: Config, outbox: Outbox) -> None:
    waits = [waiting("support", 61), waiting("late", 125, 1), *(waiting("Sales", 1, n) for n in (2, 3, 4))]
    said = {
        "support": counted(),
        "late": replace(counted(), level=79.5),
        "Sales": counted(),
        "quiet": counted(completed=0),
    }
    view = board(queues=list(said), calls=waits, figures=said)
    read = numbers(stands(config), "", [view])
    found = {
        (dict(labels)["queue"], dict(labels)["figure"]): value
        for (name, labels), value in read.items()
        if name == "humbug_queue_alarm"
    }
    assert found == {
        ("support", "longest_wait"): 1,
        ("support", "service_level"): 0,
        ("late", "longest_wait"): 2,
        ("late", "service_level"): 1,
        # It has a section of its own in agent.ini, which [queues] stands behind no more.
        ("Sales", "waiting"): 1,
        # A share of no calls is none.
        ("quiet", "longest_wait"): 0,
    }


# Alert -> what is otherwise than with a healthy agent for it to fire.
BAD = {
    "HumbugAgentDown": {"up": "0+0"},
    "HumbugOutboxUnreadable": {"humbug_outbox_up": "0+0"},
    "HumbugDestinationDown": {"humbug_destination_up": "0+0"},
    "HumbugCallsWaitTooLong": {"humbug_oldest_waiting_seconds": "901+0"},
    "HumbugDeadDeliveries": {"humbug_deliveries": "1+0"},
    "HumbugRejects": {"humbug_rejects_total": "0+1"},
    "HumbugSourceDown": {"humbug_source_up": "0+0"},
    "HumbugSourceStuck": {"humbug_source_unread_bytes": "9+0", "humbug_source_last_read_age_seconds": "600+0"},
    "HumbugSourceBehind": {"humbug_source_unread_bytes": "2e6+0"},
    "HumbugBoardAway": {"humbug_board_live": "0+0"},
    "HumbugOutboxFilling": {"humbug_outbox_bytes": "85+0", "humbug_outbox_max_bytes": "100+0"},
    "HumbugOutboxNearlyFull": {"humbug_outbox_bytes": "96+0", "humbug_outbox_max_bytes": "100+0"},
}
WITH_IT = {"HumbugOutboxNearlyFull": ["HumbugOutboxFilling"]}


def fires(alerts: Sequence[str]) -> dict[str, Any]:
    """What promtool is to find after two hours."""
    return {
        "expr": 'count by (alertname) (count by (alertname, job) (ALERTS{alertstate="firing"}))',
        "eval_time": "2h",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in alerts],
    }


@pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed")
def test_each_alert_fires_when_it_should_and_a_healthy_agent_sets_off_none(
    tmp_path: Path, everything: dict[Sample, float]
) -> None:
    assert BAD.keys() == {alert["alert"] for alert in ALERTS}
    dead = ("humbug_deliveries", frozenset({("destination", "humbug"), ("state", "dead")}))
    healthy = {("up", frozenset()): 1.0, **everything, dead: 0.0}
    series = [(name, {**dict(labels), "instance": "pbx", "job": "humbug-agent"}) for name, labels in healthy]

    def case(bad: Mapping[str, str], firing: Sequence[str]) -> dict[str, Any]:
        inputs = []
        for (name, labels), value in zip(series, healthy.values(), strict=True):
            its = ",".join(f"{label}={json.dumps(text)}" for label, text in labels.items())
            inputs.append({"series": f"{name}{{{its}}}", "values": f"{bad.get(name, f'{value:g}+0')}x180"})
        return {"interval": "1m", "input_series": inputs, "promql_expr_test": [fires(firing)]}

    tests = [case({}, []), *(case(bad, [name, *WITH_IT.get(name, [])]) for name, bad in BAD.items())]
    # Nothing to scrape at all.
    tests.append({"interval": "1m", "input_series": [], "promql_expr_test": [fires(["HumbugAgentDown"])]})
    (tmp_path / "test.yml").write_text(
        yaml.safe_dump(
            {"rule_files": [str(DATA / "prometheus-alerts.yml")], "evaluation_interval": "1m", "tests": tests}
        )
    )
    command = [str(PROMTOOL), "test", "rules", str(tmp_path / "test.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
