"""The daemon on a FreeSWITCH host: documents, posts and hangups, each call once, and the board."""

import json
import shutil
from pathlib import Path

import pytest
import requests

from tests.kit.esl_calls import A_LEG
from tests.kit.esl_server import PASSWORD, EslServer, event
from tests.kit.host import API_KEY, Host, wait_until
from tests.kit.paths import DATA
from tests.kit.ports import free_port
from tests.kit.served import Page, running

pytestmark = pytest.mark.slow

RECORDED = DATA / "freeswitch"


def test_each_call_once_whichever_ways_tell_it(host: Host, page: Page, tmp_path: Path) -> None:
    folder, port = tmp_path / "json_cdr", free_port()
    folder.mkdir()
    documents = [path for path in RECORDED.rglob("*.cdr.json") if path.name.startswith("a_")]
    with EslServer() as esl:
        host.ini.write_text(
            f"[agent]\noutbox = {tmp_path}/outbox.db\ntimezone = UTC\n"
            f"[source documents]\ntype = freeswitch_json\npath = {folder}\nafter = delete\n"
            f"[source posted]\ntype = freeswitch_http\nlisten = 127.0.0.1:{port}\n"
            f"[source live]\ntype = freeswitch_esl\nport = {esl.port}\npassword = {PASSWORD}\n"
            f"[destination humbug]\ntype = humbug\nurl = {host.receiver.url}\napi_key = {API_KEY}\n"
            f"[status]\nlisten = 127.0.0.1:{page.port}\n"
        )
        found = {part["part"]: part for part in host.json("check")}
        assert "json_cdr.conf.xml" in found["source posted"]["message"]
        with running(host):
            wait_until(lambda: page.up() and page.get("/status.json").json()["boards"][0]["live"], 20)
            said = page.get("/ipps/channelinfo.php?channel=SIP/1001")
            assert (said.status_code, said.text) == (200, "down,,,,\n")
            for document in documents:
                answer = requests.post(f"http://127.0.0.1:{port}/?uuid=x", data=document.read_bytes(), timeout=10)
                assert answer.status_code == 200
                shutil.copy(document, folder)
            esl.play(event(A_LEG))
            wait_until(lambda: not list(folder.glob("*.json")), 20)
            wait_until(lambda: host.status()["deliveries"]["waiting"] == 0, 20)
            wanted = {json.loads(path.read_bytes())["variables"]["uuid"] for path in documents}
            wanted = {one for one in wanted if not _double(one, documents)} | {json.loads(A_LEG)["Unique-ID"]}
            wait_until(lambda: {call["uniqueid"] for call in host.json("outbox", "list")} == wanted)
    assert host.store.count() == len(wanted)
    assert host.store.repeats() == 0
    assert PASSWORD not in host.errors


def _double(uuid: str, documents: list[Path]) -> bool:
    """A queue's attempt to reach an agent."""
    (found,) = [json.loads(path.read_bytes()) for path in documents if uuid in path.name]
    return bool(found["variables"].get("cc_side") == "agent")
