"""BOXIS's API as its description has it, quirks included. By hand: python tests/kit/boxis_server.py --help"""

import argparse
import time
from datetime import datetime, tzinfo
from hashlib import md5
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.kit.pull_server import Asked, PullServer, Reply, as_json

USERNAME, USER_KEY, TENANT = "me@example.org", "BX3KwWU2SuqvoEWnjYmOibf", "VOICE-29001-1"
ZONE = ZoneInfo("Europe/Zurich")
SAMPLE = Path(__file__).with_name("boxis_sample.json")
"""The answer that the description shows."""

PATIENCE = 300
"""Seconds that a client's timestamp may be wrong."""


class BoxisServer(PullServer):
    """``ahead`` is how far its clock is; ``empty`` what it has for no calls; ``filters`` by start or end."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.url += "/"
        self.tenants: dict[str, list[dict[str, Any]]] = {TENANT: []}
        self.zone: tzinfo = ZONE
        self.ahead = 0
        self.empty: Any = []
        self.filters = "start"
        self.windows: list[tuple[str, str, str]] = []
        """Tenant, datefrom and dateto of all that was let in."""

    def answer(self, asked: Asked) -> Reply:
        form, now = asked.form, int(time.time()) + self.ahead
        if asked.method != "POST" or form.get("version") != "1.0" or form.get("returntype") != "json":
            return as_json({"result": "0", "resulttxt": "Error: bad request", "timestamp": now})
        error = self._refused(form, now)
        if error:
            return as_json({"result": "0", "resulttxt": f"Error: {error}", "timestamp": now})
        tenant, first, last = form["tenant"], form["datefrom"], form["dateto"]
        self.windows.append((tenant, first, last))
        found = [row for row in self.tenants[tenant] if first <= row[self.filters] <= last]
        cdr = {f"call_{number}": row for number, row in enumerate(found, 1)}
        return as_json({"result": "1", "resulttxt": "success", "params": {"cdr": cdr or self.empty}, "timestamp": now})

    def _refused(self, form: dict[str, str], now: int) -> str:
        timestamp = form.get("timestamp", "")
        if not timestamp.isdigit() or abs(int(timestamp) - now) > PATIENCE:
            return "timestamp is out of sync"
        authcode = md5(f"{timestamp}{USER_KEY}".encode()).hexdigest()
        if form.get("username") != USERNAME or form.get("authcode") != authcode:
            return "authentication failed"
        if form.get("section") != "voice" or form.get("action") != "getCDR":
            return "unknown action"
        if form.get("tenant") not in self.tenants:
            return "unknown tenant"
        return ""


def a_row(number: int, end: float, seconds: int = 30, zone: tzinfo = ZONE, **changes: Any) -> dict[str, Any]:
    """A call that ended then and took so long; every third one nobody answered."""

    def stamp(moment: float) -> str:
        return datetime.fromtimestamp(int(moment), zone).strftime("%Y-%m-%d %H:%M:%S")

    answered = number % 3 != 0
    uniqueid = f"sip022.voice.boxis.net-{int(end) - seconds}.{number}"
    row = {
        "uniqueid": uniqueid,
        "start": stamp(end - seconds),
        "answer": stamp(end - seconds + 5) if answered else "0000-00-00 00:00:00",
        "end": stamp(end),
        "clid": '"DirectCEO:" ',
        "src": f"004161{number:07}",
        "dst": f"022{number:07}",
        "dcontext": "fromoutside",
        "channel": f"SIP/NS_Inbound_Route_CH_Direct_105-{number:08x}",
        "dstchannel": f"SIP/sip046.voice.boxis.net-{number:08x}",
        "lastapp": "Dial",
        "lastdata": "SIP/QUEUE-14@sip046.voice.boxis.net,,U(destChannelActions^yes^wav^^^^)",
        "duration": str(seconds),
        "billsec": str(seconds - 5 if answered else 0),
        "disposition": "ANSWERED" if answered else "NO ANSWER",
        "amaflags": "3",
        "accountcode": "BOXIS",
        "userfield": ("[inbound]", "[outbound]", "[internal]")[number % 3],
        "sequence": str(number),
        "linkedid": uniqueid,
        "prevsequence": None,
        "cc_cost": "0.00000",
    }
    return row | changes


def main() -> None:
    parser = argparse.ArgumentParser(description="A server that answers getCDR as BOXIS does, for trying the source.")
    parser.add_argument("--port", type=int, default=8802)
    parser.add_argument("--rows", type=int, default=500, help="calls of the last --hours")
    parser.add_argument("--hours", type=float, default=48)
    parser.add_argument("--ahead", type=int, default=0, help="seconds that its clock is ahead")
    options = parser.parse_args()
    server = BoxisServer(port=options.port)
    server.ahead = options.ahead
    now, step = time.time(), options.hours * 3600 / max(1, options.rows)
    server.tenants[TENANT] = [a_row(number, now - step * (options.rows - number)) for number in range(options.rows)]
    print(
        f"[source boxis]\ntype = boxis\nurl = {server.url}\nusername = {USERNAME}\nuser_key = {USER_KEY}\n"
        f"tenants = {TENANT}\ntimezone = {ZONE}\n",
        flush=True,
    )
    server.serve()


if __name__ == "__main__":
    main()
