"""Questions by getCDR and by the billing API to a `ServedApi`, from curl's point of view; and calls of FreeSWITCH."""

import json
import time
import uuid
from dataclasses import replace
from hashlib import md5
from typing import Any

import requests

from humbug_agent.cdr import CDR
from tests.kit.api_served import EMAIL, PASSWORD, USER_KEY, ServedApi, call


def leg(number: int, **changes: Any) -> CDR:
    """A call of FreeSWITCH's, which has a uuid and a cause."""
    plain = call(number)
    usual: dict[str, Any] = {
        "uniqueid": str(uuid.UUID(int=number)),
        "linkedid": "",
        "clid": f'"Desk {number}" <{plain.src}>',
        "channel": "",
        "dstchannel": "",
        "duration": round((plain.end - plain.start).total_seconds()),
        "extra": {"domain_name": f"d{number % 4}.example"},
    }
    return replace(plain, **(usual | changes))


def form(name: str = "all", *, at: float | None = None, **changes: Any) -> dict[str, Any]:
    """A question that is right, but for the changes."""
    own = "" if name == "all" else f"{name}-"
    timestamp = int(time.time() if at is None else at)
    usual = {
        "version": "1.0",
        "returntype": "json",
        "timestamp": timestamp,
        "username": f"{own}{EMAIL}",
        "authcode": md5(f"{timestamp}{own}{USER_KEY}".encode()).hexdigest(),
        "section": "voice",
        "action": "getCDR",
        "tenant": "t1",
        "datefrom": "",
        "dateto": "",
    }
    return usual | changes


def getcdr(served: ServedApi, name: str = "all", **changes: Any) -> dict[str, Any]:
    answer = requests.post(f"{served.where}/", data=form(name, **changes), timeout=30)
    assert answer.status_code == 200
    found: dict[str, Any] = json.loads(answer.content)
    return found


def login(served: ServedApi, name: str = "all") -> str:
    own = "" if name == "all" else f"{name}-"
    said = {"email": f"{own}{EMAIL}", "password": f"{own}{PASSWORD}"}
    answer = requests.post(f"{served.where}/api/login", json=said, timeout=30)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def get(served: ServedApi, token: str, path: str, **asked: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"} if token else {}
    return requests.get(f"{served.where}/api/{path}", params=asked, headers=headers, timeout=30)
