"""docs/monitoring.md and the files that it hands out: metrics, commands and paths that there are."""

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from humbug_agent import config
from humbug_agent.cdr import Batch
from humbug_agent.cli import nagios
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.status.overview import overview
from humbug_agent.status.troubles import Level
from humbug_agent.web.metrics import metrics
from tests.kit.agent_ini import config_of
from tests.kit.calls import batch, reject
from tests.kit.paths import TOP
from tests.web.metrics.test_metrics import LINES, THRESHOLDS, board, counted, member, stands, waiting, with_hosted

PAGE = (TOP / "docs" / "monitoring.md").read_text()
TEMPLATE_TEXT = (files("humbug_agent") / "data" / "zabbix-template.yaml").read_text()
TEMPLATE: dict[str, Any] = yaml.safe_load(TEMPLATE_TEXT)["zabbix_export"]["templates"][0]
PLUGIN = "/usr/bin/humbug-agent status --nagios"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def found(tmp_path: Path) -> config.Config:
    """With a call and a reject, and all parts well."""
    ini = config_of(tmp_path, "max_size_mb = 1")
    with Outbox(ini.agent.outbox) as outbox:
        outbox.accept("csv", Batch(batch(1).records, [reject(b"what")], ""), ["humbug"])
        for part in ("source csv", "destination humbug"):
            outbox.report(part, "ok")
    return ini


def table(head: str) -> list[list[str]]:
    (rows,) = re.findall(rf"^\| {re.escape(head)} \|.*\n.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|\n").split(" | ")] for row in str(rows).splitlines()]


def rows_of(found: config.Config) -> list[list[str]]:
    """The table as it should be, of all that /metrics ever has."""
    told = {"support": counted()}
    view = board(calls=[waiting("support", 1.0)], members=[member("support", "idle")], figures=told, lines=LINES)
    body, _ = metrics(with_hosted(stands(found)), "", [view], {"humbug": (1, 1)}, THRESHOLDS)
    rows = []
    for family in text_string_to_metric_families(body.decode()):
        labels: Sequence[str] = [*dict.fromkeys(label for sample in family.samples for label in sample.labels)]
        name = family.name + "_total" * (family.type == "counter")
        shown = ", ".join(f"`{label}`" for label in labels) or "none"
        rows.append([f"`{name}`", family.type, shown, family.documentation])
    return rows


def test_the_table_has_every_metric(found: config.Config) -> None:
    wanted = rows_of(found)
    assert len(wanted) > 15
    assert table("metric") == wanted, "\n".join(f"| {' | '.join(row)} |" for row in wanted)


def test_prometheus_is_configured_as_its_rules_expect() -> None:
    (block,) = blocks("yaml")
    read = yaml.safe_load(block)
    (job,) = read["scrape_configs"]
    rules = (files("humbug_agent") / "data" / "prometheus-alerts.yml").read_text()
    assert f'job="{job["job_name"]}"' in rules
    assert [(files("humbug_agent") / "data" / name).is_file() for name in read["rule_files"]] == [True]


def test_all_ways_run_the_same_command_which_sudo_allows() -> None:
    assert f"command[humbug-agent]=sudo -n -u humbug-agent {PLUGIN}\n" in PAGE
    (icinga,) = re.findall(r"command = (\[.*\])", PAGE)
    assert " ".join(json.loads(icinga)) == f"sudo -n -u humbug-agent {PLUGIN}"
    parameters = re.findall(r"UserParameter=(\S+),sudo -n -u humbug-agent (.+) \|\| true", PAGE)
    assert [command for _, command in parameters] == [PLUGIN, "/usr/bin/humbug-agent status --json"]
    allowed = re.findall(r"^(?:nagios|zabbix) ALL=\(humbug-agent\) NOPASSWD: (.+)$", PAGE, re.MULTILINE)
    assert allowed == [PLUGIN, f"{PLUGIN}, /usr/bin/humbug-agent status --json"]
    assert {f"$ {command}" for command in (allowed[1], *re.findall(r"^UserParameter=.+$", PAGE, re.MULTILINE))} <= {
        "$ " + re.sub(r"^#\s+(?:zabbix ALL=\(humbug-agent\) NOPASSWD: )?", "", line)
        for line in TEMPLATE_TEXT.splitlines()
    }
    asked = {item["key"] for item in TEMPLATE["items"] if item.get("type") != "DEPENDENT"}
    assert asked == {key for key, _ in parameters}


def test_what_the_template_takes_out_of_status_is_there(found: config.Config) -> None:
    status = json.loads(json.dumps(overview(found.path).as_json()))
    taken = [item for item in TEMPLATE["items"] if item.get("type") == "DEPENDENT"]
    assert len(taken) > 5
    for item in taken:
        assert item["master_item"] == {"key": "humbug.status"}
        (step,) = item["preprocessing"]
        value = status
        for key in step["parameters"][0].removeprefix("$.").split("."):
            value = value[key]
        assert isinstance(value, int), item["name"]


def test_the_triggers_of_the_template_ask_for_its_items() -> None:
    items = TEMPLATE["items"]
    triggers = [trigger for item in items for trigger in item.get("triggers", [])]
    keys = {f"/{TEMPLATE['template']}/{item['key']}" for item in items}
    assert triggers
    for trigger in triggers:
        assert set(re.findall(r"\((/[^,]+),", trigger["expression"])) <= keys
    identities = re.findall(r"uuid: (\w+)", TEMPLATE_TEXT)
    assert len({*identities}) == len(identities) == len(items) + len(triggers) + 2
    assert all(re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", one) for one in identities)


def test_the_levels_that_its_triggers_look_for_are_those_of_the_line(found: config.Config) -> None:
    line, level = nagios.answer(found.path)
    assert level is Level.CRITICAL
    (critical,) = [trigger for trigger in TEMPLATE["items"][0]["triggers"] if trigger["priority"] == "HIGH"]
    (looked_for,) = re.findall(r'"regexp","(.+)"\)', critical["expression"])
    assert re.search(looked_for, line)
