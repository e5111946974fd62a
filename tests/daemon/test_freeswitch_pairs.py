"""The daemon on a FreeSWITCH host that tells each call in two ways: each is one call, whichever way is first."""

import json
from collections.abc import Callable, Iterator

import pytest
import requests

from humbug_agent.listening.esl.event import Event
from humbug_agent.outbox.outbox import Outbox
from tests.kit.esl_server import PASSWORD, EslServer, Recording, event
from tests.kit.host import API_KEY, Host, wait_until
from tests.kit.ports import free_port
from tests.kit.served import running

pytestmark = pytest.mark.slow

EVENTS = [body for name in ("json_calls", "plain_calls") for body in Recording(name).events()]
HANGUPS = [said for said in map(Event, EVENTS) if said("Event-Name") == "CHANNEL_HANGUP_COMPLETE"]
A_LEGS = [said for said in HANGUPS if not said("variable_originating_leg_uuid")]
CALLS = [
    ('"Smith, "J" é" <4001>', "4001", "8201", "ANSWERED", 3, 2),
    ('"Busy" <4002>', "4002", "8486", "BUSY", 0, 0),
    ('"Cancel" <4003>', "4003", "8180", "CANCEL", 1, 0),
    ('"Smith, "J" é" <4005>', "4005", "8201", "ANSWERED", 3, 2),
    ('"José" <4006>', "4006", "8486", "BUSY", 0, 0),
]
PROFILE = {
    "caller_id_name": "Caller-Caller-ID-Name",
    "caller_id_number": "Caller-Caller-ID-Number",
    "destination_number": "Caller-Destination-Number",
    "context": "Caller-Context",
}
EXAMPLE = (
    "caller_id_name", "caller_id_number", "destination_number", "context", "start_stamp", "answer_stamp", "end_stamp",
    "duration", "billsec", "hangup_cause", "uuid", "bridge_uuid", "accountcode", "read_codec", "write_codec",
)  # fmt: skip


def variables(said: Event) -> dict[str, str]:
    return {one.removeprefix("variable_"): said(one) for one in said.headers if one.startswith("variable_")}


def row(said: Event) -> bytes:
    """As mod_cdr_csv writes it, with its template `example`."""
    values = variables(said) | {name: said(header) for name, header in PROFILE.items()}
    return (",".join(f'"{values.get(column, "")}"' for column in EXAMPLE) + "\n").encode()


def document(said: Event) -> bytes:
    """As mod_json_cdr writes it."""
    profile = {name: said(header) for name, header in PROFILE.items()}
    return json.dumps(
        {"variables": variables(said), "callflow": [{"caller_profile": profile, "times": {}}]}, ensure_ascii=False
    ).encode()


class Pbx:
    """Each way by its name: what agent.ini says of it, and how it tells the calls."""

    def __init__(self, host: Host, esl: EslServer) -> None:
        self.host, self.esl, self.port = host, esl, free_port()
        self.outbox = host.folder / "outbox.db"
        self.master, self.folder = host.folder / "FsMaster.csv", host.folder / "json_cdr"
        self.folder.mkdir()
        self.master.touch()
        self.settings = {
            "csv": f"type = freeswitch_csv\npath = {self.master}\n",
            "json": f"type = freeswitch_json\npath = {self.folder}\n",
            "http": f"type = freeswitch_http\nlisten = 127.0.0.1:{self.port}\n",
            "esl": f"type = freeswitch_esl\nport = {esl.port}\npassword = {PASSWORD}\n",
        }
        self.tell: dict[str, Callable[[], None]] = {
            "csv": self._write_rows, "json": self._write_documents, "http": self._post, "esl": self._say,
        }  # fmt: skip

    def configure(self, *ways: str) -> None:
        sources = "".join(f"[source {way}]\n{self.settings[way]}" for way in ways)
        self.host.ini.write_text(
            f"[agent]\noutbox = {self.host.folder}/outbox.db\ntimezone = UTC\n{sources}"
            f"[destination humbug]\ntype = humbug\nurl = {self.host.receiver.url}\napi_key = {API_KEY}\n"
        )

    def is_read(self, way: str) -> bool:
        with Outbox(self.outbox) as outbox:
            found = outbox.health().get(f"source {way}")
        return found is not None and found.state == "ok"

    def known(self, *, both: bool) -> int:
        """Calls that were told, in both ways or at all."""
        which = "also <> ''" if both else "1"
        return len(self.select(f"SELECT id FROM calls WHERE {which}"))

    def select(self, sql: str) -> list[tuple[object, ...]]:
        with Outbox(self.outbox) as outbox:
            return [tuple(row) for row in outbox.select(sql)]

    def _write_rows(self) -> None:
        with self.master.open("ab") as master:
            master.write(b"".join(map(row, A_LEGS)))

    def _write_documents(self) -> None:
        for said in A_LEGS:
            (self.folder / f"a_{said('Unique-ID')}.cdr.json").write_bytes(document(said))

    def _post(self) -> None:
        for said in A_LEGS:
            url = f"http://127.0.0.1:{self.port}/?uuid={said('Unique-ID')}"
            assert requests.post(url, data=document(said), timeout=10).status_code == 200

    def _say(self) -> None:
        self.esl.play(b"".join(event(body, "json" if body.startswith(b"{") else "plain") for body in EVENTS))


@pytest.fixture
def pbx(host: Host) -> Iterator[Pbx]:
    with EslServer() as esl:
        yield Pbx(host, esl)


@pytest.mark.parametrize(
    "ways",
    [("csv", "esl"), ("esl", "csv"), ("json", "http"), ("http", "esl"), ("json", "csv")],
    ids="+".join,
)
def test_two_ways_together_give_each_call_once(pbx: Pbx, ways: tuple[str, str]) -> None:
    first, second = ways
    pbx.configure(*ways)
    with running(pbx.host):
        wait_until(lambda: all(map(pbx.is_read, ways)), 20)
        pbx.tell[first]()
        wait_until(lambda: pbx.known(both=False) == len(CALLS))
        pbx.tell[second]()
        wait_until(lambda: pbx.known(both=True) == len(CALLS))
        wait_until(lambda: pbx.host.store.count() == len(CALLS), 20)
    assert pbx.host.store.repeats() == 0
    assert pbx.select("SELECT clid, src, dst, disposition, duration, billsec FROM calls ORDER BY src") == CALLS
    assert {one for (one,) in pbx.select("SELECT uniqueid FROM calls")} == {said("Unique-ID") for said in A_LEGS}
    assert PASSWORD not in pbx.host.errors
