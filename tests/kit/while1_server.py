"""A server that behaves as the description of /api/cdr says, quirks included. By hand: while1_server.py --help"""

import argparse
import hashlib
import json
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from humbug_agent.http_server.php import http_build_query
from tests.kit.pull_server import Asked, PullServer, Reply, as_json

ZONE = ZoneInfo("Europe/Bucharest")
PATH = "/api/cdr"
TOKEN, KEY = "the-api-token/+", "the-api-key&"
FILTERS = (
    "date_between", "project_id", "user_id", "inbound_route_id", "direction", "call_status", "telephone_like",
    "telephone", "source", "destination", "hour_between", "from_id", "uniqueid", "linkedid", "external_id",
    "has_transcription", "has_monitor_file", "has_recording_file",
)  # fmt: skip

SAMPLE: dict[str, Any] = {
    "id": "29056",
    "uniqueid": "1710401324.480",
    "linkedid": "1710401324.480",
    "time": "2024-03-14 09:28:44",
    "time_end": "2024-03-14 09:29:00",
    "caller_id": '"John Doe" <0312000000>',
    "source": "0312285000",
    "destination": "0700000000",
    "direction": "OUT",
    "channel_formatted": "PJSIP/john-doe",
    "dstchannel_formatted": "",
    "customer_id": None,
    "user_fullname": "John Doe",
    "qname": None,
    "code": "outbound",
    "call_status": "FAILED",
    "call_status_info": "DS:CONGESTION|HC:34|HI:SIP 503 Service Unavailable",
    "call_codes": "out no answer",
    **dict.fromkeys(
        (
            "accounting_code", "accounting_value", "comments", "monitor_files", "monitor_urls", "recording_file",
            "recording_url", "transfers",
        )
    ),
    "project": "My Project",
    **dict.fromkeys(
        (
            "inbound_route", "inbound_route_id", "queue_log", "ivr_log", "external_id", "external_info",
            "agent_details", "is_recovered", "transcription_id", "transcription_text",
        )
    ),
    "bill_duration": "00:00:00",
    "duration": "00:00:15",
    "bill_minutes": 0,
    "ivr_duration": "00:00:00",
    "hold_time": "00:00:00",
    "ring_time": "00:00:00",
}  # fmt: skip
"""The row of the vendor's page."""


def row(number: int, ended: float, **changes: Any) -> dict[str, Any]:
    """A call that ``ended`` then, seconds since the epoch; every other one was answered."""
    answered = number % 2 == 0
    end = datetime.fromtimestamp(int(ended), ZONE)
    start = datetime.fromtimestamp(int(ended) - (25 if answered else 12), ZONE)
    own = {
        "id": str(number),
        "uniqueid": f"{int(start.timestamp())}.{number}",
        "linkedid": f"{int(start.timestamp())}.{number}",
        "time": f"{start:%Y-%m-%d %H:%M:%S}",
        "time_end": f"{end:%Y-%m-%d %H:%M:%S}",
        "source": f"0312{number % 10**6:06}",
        "direction": "OUT" if number % 3 else "IN",
        "call_status": "ANSWERED" if answered else "NO ANSWER",
        "bill_duration": "00:00:15" if answered else "00:00:00",
        "duration": "00:00:25" if answered else "00:00:12",
    }
    return SAMPLE | own | changes


class While1Server(PullServer):
    """``rows`` is its table, in the order in which they were written. What it does is set by its attributes."""

    def __init__(self, rows: list[dict[str, Any]] | None = None, **where: Any) -> None:
        super().__init__(**where)
        self.rows = rows or []
        self.url += PATH
        self.page_size = 100
        self.order: Callable[[dict[str, Any]], Any] = lambda one: int(one["id"])
        self.descending = False
        self.counts = True
        """False: the pagination is as in the description's sample, all 0."""
        self.texts = False
        """The numbers of the pagination are strings."""
        self.repeats_last = False
        """A page beyond the last one is the last one."""
        self.before: Callable[[Asked], object] | None = None
        """What happens before an answer, such as calls that are written."""

    def add(self, count: int = 1, ended: float | None = None, **changes: Any) -> None:
        last = max((int(one["id"]) for one in self.rows), default=0)
        ended = time.time() if ended is None else ended
        self.rows.extend(row(last + number + 1, ended, **changes) for number in range(count))

    def spread(self, count: int, since: float, until: float) -> None:
        """So many calls, evenly over a span of time."""
        last = max((int(one["id"]) for one in self.rows), default=0)
        step = (until - since) / count
        self.rows.extend(row(last + number + 1, since + step * number) for number in range(count))

    def answer(self, asked: Asked) -> Reply:
        if self.before:
            self.before(asked)
        if asked.path != PATH:
            return Reply(b"<html><h1>404 Not Found</h1></html>", 404)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(401, "Unauthorized")
        parameters = parameters_of(asked)
        if parameters.pop("api_hash", None) != _hash(parameters):
            return _error(200, "Invalid api_hash")
        filters = {name: value for name, value in (parameters.get("filters") or {}).items() if value not in (None, [])}
        if unknown := [name for name in filters if name not in FILTERS]:
            return _error(200, *(f"Invalid filter: {name}" for name in unknown))
        found = self.rows
        for name, value in filters.items():
            passes = _passes(name, _texts(value))
            found = [one for one in found if passes(one)]
        return self._page(int(parameters.get("page") or 1), found)

    def _page(self, number: int, found: list[dict[str, Any]]) -> Reply:
        found = sorted(found, key=self.order, reverse=self.descending)
        size = self.page_size
        last = -(-len(found) // size)
        shown = min(number, last) if self.repeats_last else number
        pagination: dict[str, Any] = {
            "row_count": len(found) if self.counts else 0,
            "page_size": size,
            "current_page": shown if self.counts else 0,
            "max_page": last if self.counts else 0,
        }
        if self.texts:
            pagination = {name: str(value) for name, value in pagination.items()}
        rows = found[max(0, shown - 1) * size : shown * size]
        return as_json({"has_error": False, "messages": [], "pagination": pagination, "results": rows})


def parameters_of(asked: Asked) -> dict[str, Any]:
    """As PHP has them, of a form or of JSON."""
    if asked.headers["content-type"] == "application/json":
        found: dict[str, Any] = json.loads(asked.body)
        return found
    parameters: dict[str, Any] = {}
    for name, value in parse_qsl(asked.body.decode("ascii"), keep_blank_values=True, strict_parsing=True):
        *path, last = name.replace("]", "").split("[")
        place = parameters
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return parameters


def _hash(parameters: dict[str, Any]) -> str:
    return hashlib.md5((http_build_query(parameters) + KEY).encode()).hexdigest()


def _passes(name: str, values: list[str]) -> Callable[[dict[str, Any]], bool]:
    first = values[0]
    if name == "date_between":
        return lambda one: first <= one["time"] <= values[1]
    if name == "from_id":
        lowest = int(first)
        return lambda one: int(one["id"]) >= lowest
    if name == "telephone":
        return lambda one: first in (one["source"], one["destination"])
    if name == "telephone_like":
        return lambda one: first in one["source"] or first in one["destination"]
    if name in ("source", "destination"):
        return lambda one: first in one[name]
    if name.startswith("has_"):
        return lambda one: (first == "1") == bool(one.get(name.removeprefix("has_")))
    return lambda one: name not in one or str(one[name]) in values


def _texts(value: Any) -> list[str]:
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return [("1" if one else "0") if isinstance(one, bool) else str(one) for one in values]


def _error(status: int, *messages: str) -> Reply:
    return as_json({"has_error": True, "messages": messages, "pagination": [], "results": []}, status)


def main() -> None:
    parser = argparse.ArgumentParser(description="A PBX of While1 Voice, as far as /api/cdr goes.")
    parser.add_argument("--port", type=int, default=8801)
    parser.add_argument("--rows", type=int, default=500, help="calls of the last days")
    parser.add_argument("--days", type=float, default=3)
    parser.add_argument("--every", type=float, default=5, help="seconds between two new calls; 0: none")
    parser.add_argument("--descending", action="store_true", help="the newest call first")
    told = parser.parse_args()
    server = While1Server(port=told.port)
    server.descending = told.descending
    server.spread(told.rows, time.time() - timedelta(days=told.days).total_seconds(), time.time())
    print(f"[source while1]\ntype = while1\nurl = {server.url}\ntoken = {TOKEN}\napi_key = {KEY}")
    print(f"timezone = {ZONE.key}\n", flush=True)

    def write() -> None:
        while True:
            time.sleep(told.every)
            server.add()

    if told.every:
        threading.Thread(target=write, daemon=True).start()
    server.serve()


if __name__ == "__main__":
    main()
