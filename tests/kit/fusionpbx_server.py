"""FusionPBX's billing API (fusionapi), quirks included. By hand: python tests/kit/fusionpbx_server.py --help"""

import argparse
import json
import re
import time
import uuid
from collections import deque
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from tests.kit.pull_server import Asked, PullServer, Reply, as_json

EMAIL, PASSWORD, DOMAIN = "billing@example.org", "Pass/word 1&2", "acme.pbx.example.org"
ZONE = timezone(timedelta(hours=10))
SAMPLE = Path(__file__).with_name("fusionpbx_sample.json")
"""Rows with every field of the description, and with those alone that the program shows."""

ERROR_PAGE = b"<!DOCTYPE html><html><title>Server Error</title></html>"


class FusionpbxServer(PullServer):
    """``limit`` is how many requests a minute it takes; ``tokens`` are those that it has given and still takes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.domains: dict[str, list[dict[str, Any]]] = {DOMAIN: []}
        self.tokens: list[str] = []
        self.limit = 0
        self.minute = 60.0
        self.logins = 0
        self.logouts = 0
        self.windows: list[tuple[str, float, float]] = []
        """Domain, from and to of all that was let in, seconds since the epoch."""
        self._times: deque[float] = deque()

    def answer(self, asked: Asked) -> Reply:
        now = time.monotonic()
        while self._times and self._times[0] <= now - self.minute:
            self._times.popleft()
        if self.limit and len(self._times) >= self.limit:
            wait = int(self._times[0] + self.minute - now) + 1
            return as_json({"message": "Too Many Attempts."}, 429, **{"Retry-After": str(wait)})
        self._times.append(now)
        wants_json = "application/json" in asked.headers.get("accept", "")
        if (asked.method, asked.path) == ("POST", "/api/login"):
            return self._login(asked, wants_json)
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return as_json({"message": "Unauthenticated."}, 401) if wants_json else Reply(ERROR_PAGE, 500)
        if (asked.method, asked.path) == ("POST", "/api/logout"):
            self.logouts += 1
            self.tokens.clear()
            return as_json({"message": "Logged out successfully.", "success": True})
        if (asked.method, asked.path) == ("GET", "/api/call_range"):
            return self._call_range(asked, wants_json)
        return as_json({"message": "Not Found"}, 404)

    def _login(self, asked: Asked, wants_json: bool) -> Reply:
        is_json = asked.headers.get("content-type", "").startswith("application/json")
        login = json.loads(asked.body) if is_json else asked.form
        missing = {name: [f"The {name} field is required."] for name in ("email", "password") if not login.get(name)}
        if missing:
            return _invalid(missing, wants_json)
        if login != {"email": EMAIL, "password": PASSWORD}:
            return as_json({"message": "Invalid credentials.", "success": False})
        self.logins += 1
        self.tokens.append(f"{self.logins}|{uuid.uuid4().hex}Qx9")
        user = {"id": 1, "name": "Billing", "email": EMAIL, "email_verified_at": None}
        return as_json({"user": user, "token": self.tokens[-1], "success": True}, 201)

    def _call_range(self, asked: Asked, wants_json: bool) -> Reply:
        domain = asked.query.get("domain_name", "")
        if domain not in self.domains:
            return _invalid({"domain_name": ["The selected domain name is invalid."]}, wants_json)
        try:
            first, last = (_moment(asked.query[name]) for name in ("from", "to"))
        except (KeyError, ValueError):
            return _invalid({"from": ["The from is not a valid date."]}, wants_json)
        self.windows.append((domain, first, last))
        # In no order that one could rely on.
        return as_json([row for row in reversed(self.domains[domain]) if _ended(row, first, last)])


def _ended(row: dict[str, Any], first: float, last: float) -> bool:
    """What says no time that it ended at is in every answer."""
    said = str(row["end_epoch"])
    return not re.fullmatch(r"[0-9]{1,10}", said) or first <= int(said) <= last


def a_row(number: int, end: float, seconds: int = 30, **changes: Any) -> dict[str, Any]:
    """What the program shows of a call that ended then and took so long; every third one nobody answered."""

    def stamp(moment: float) -> str:
        return datetime.fromtimestamp(int(moment), ZONE).strftime("%Y-%m-%d %H:%M:%S+10")

    answered = number % 3 != 0
    answer = int(end) - seconds + 5 if answered else 0
    row = {
        "xml_cdr_uuid": str(uuid.UUID(int=number)),
        "domain_uuid": "5c5f9a5e-12c4-4d0f-b1fa-0a8f2a1c7d10",
        "domain_name": DOMAIN,
        "accountcode": "acme",
        "direction": ("inbound", "outbound", "local")[number % 3],
        "caller_id_name": "John Doe",
        "caller_id_number": f"031{number:07}",
        "caller_destination": f"070{number:07}",
        "source_number": "201",
        "destination_number": f"070{number:07}",
        "start_epoch": str(int(end) - seconds),
        "start_stamp": stamp(end - seconds),
        "answer_epoch": str(answer),
        "answer_stamp": stamp(answer),
        "end_epoch": str(int(end)),
        "end_stamp": stamp(end),
        "duration": seconds - 5 if answered else 0,
        "mduration": seconds * 1000,
        "billsec": seconds - 5 if answered else 0,
        "hangup_cause": "NORMAL_CLEARING" if answered else "ORIGINATOR_CANCEL",
    }
    return row | changes


def _moment(said: str) -> float:
    """As PostgreSQL: without an offset it is local time."""
    moment = datetime.fromisoformat(said)
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZONE)).timestamp()


def _invalid(errors: dict[str, list[str]], wants_json: bool) -> Reply:
    if not wants_json:
        return Reply(b"", 302, {"Location": "/"})
    return as_json({"message": "The given data was invalid.", "errors": errors}, 422)


def main() -> None:
    parser = argparse.ArgumentParser(description="A server that answers as FusionPBX's billing API does.")
    parser.add_argument("--port", type=int, default=8803)
    parser.add_argument("--rows", type=int, default=500, help="calls of the last --hours")
    parser.add_argument("--hours", type=float, default=48)
    parser.add_argument("--limit", type=int, default=60, help="requests a minute")
    options = parser.parse_args()
    server = FusionpbxServer(port=options.port)
    server.limit = options.limit
    now, step = time.time(), options.hours * 3600 / max(1, options.rows)
    server.domains[DOMAIN] = [a_row(number, now - step * (options.rows - number)) for number in range(options.rows)]
    print(
        f"[source fusionpbx]\ntype = fusionpbx\nurl = {server.url}\nemail = {EMAIL}\npassword = {PASSWORD}\n"
        f"domains = {DOMAIN}\n",
        flush=True,
    )
    server.serve()


if __name__ == "__main__":
    main()
