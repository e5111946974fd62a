"""An agent.ini that an admin has made by hand, and what becomes of it."""

from pathlib import Path

import pytest

from humbug_agent.config import load
from humbug_agent.destinations.humbug.settings import HumbugSettings
from humbug_agent.ini import Secret
from humbug_agent.setup.agent import Answers, Known
from tests.kit.host_trees import planted
from tests.kit.paths import TOP
from tests.setup.test_plan import NOTHING, done, ini, touched

CALLS = "[source calls]\ntype = asterisk_csv\n[source ami]\ntype = asterisk_ami\nusername = u\nsecret = s\n"
WEBHOOK = "[destination mine]\ntype = webhook\nurl = https://x.example/\n"
NEW_KEY = Answers(Secret("NEW"), None, None)


def made(tmp_path: Path, text: str) -> Path:
    """A host whose agent.ini is as good as this; returns its root."""
    root = planted("asterisk", tmp_path)
    ini(root).parent.mkdir()
    for name in ("key", "keys"):
        (root / name).write_text("acme = k\n")
    ini(root).write_text(text.replace("/KEY", f"{root}/key") + CALLS)
    load(ini(root))
    return root


@pytest.mark.parametrize(
    "text",
    [
        "[destination d]\ntype = humbug\napi_keys_file = /KEYs\napi_keys_by = domain\n",
        "[destination d]\ntype = humbug\napi_key_file = /KEY\n",
        "[destination d] ; mine\n  TYPE: humbug\n  API_KEY: k\n",
        WEBHOOK,
        "[destination mine]\ntype = nats\nurl = nats://127.0.0.1\n",
        # One that goes by the name of the example's.
        WEBHOOK.replace("mine", "humbug"),
    ],
)
def test_who_has_a_destination_is_asked_for_no_key_and_gets_no_other(tmp_path: Path, text: str) -> None:
    root = made(tmp_path, text)
    assert Known(ini(root)).configured
    assert "humbug-agent/agent.ini" not in touched(done(root, NOTHING), root)


@pytest.mark.parametrize("text", ["", "[destination d]\ntype = humbug\n", "[destination d]\ntype = webhook\n"])
def test_a_destination_that_can_send_nothing_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "agent.ini"
    file.write_text(text)
    assert not Known(file).configured
    file.write_text((TOP / "agent.ini.example").read_text())
    assert not Known(file).configured


@pytest.mark.parametrize(
    "text",
    [
        "[destination d]\ntype: humbug\napi_key: old\n",
        "[destination d]\nTYPE=humbug\nAPI_KEY=old\n",
        "[destination d]\n  type = humbug\n  api_key =\n    old\n",
        "[destination d] ; mine\ntype = humbug\napi_key = old\n",
        "[destination d]\ntype = humbug\napi_key_file = /KEY\n",
        "[destination d]\ntype = humbug\nAPI_KEYS_FILE = /KEYs\napi_keys_by = domain\n",
        WEBHOOK,
        WEBHOOK.replace("mine", "humbug"),
    ],
)
def test_a_key_that_is_given_is_the_one_that_counts(tmp_path: Path, text: str) -> None:
    root = made(tmp_path, text)
    names = {one.name for one in load(ini(root)).destinations}
    done(root, NEW_KEY)
    config = load(ini(root))
    assert [one.api_key for one in config.destinations if isinstance(one, HumbugSettings)] == [Secret("NEW")]
    assert {one.name for one in config.destinations} >= names
    before = ini(root).read_text()
    done(root, NEW_KEY)
    assert ini(root).read_text() == before


def test_a_source_of_another_type_keeps_its_name(tmp_path: Path) -> None:
    root = planted("asterisk", tmp_path)
    ini(root).parent.mkdir()
    ini(root).write_text(f"{WEBHOOK}[source ami]\ntype = asterisk_csv\n")
    done(root, NOTHING)
    assert {one.name: one.type for one in load(ini(root)).sources} == {"ami": "asterisk_csv", "ami-2": "asterisk_ami"}
