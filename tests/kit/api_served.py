"""[api] on a free port of this host, over an outbox; and calls to put into it."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import requests

from humbug_agent.api.app import Api
from humbug_agent.api.exchange import revealed
from humbug_agent.api.settings import ApiAccount, ServedApiSettings
from humbug_agent.api.workers import Workers
from humbug_agent.call_store.pages import Views
from humbug_agent.cdr import CDR, Batch, Direction, Disposition, digest
from humbug_agent.http_server.server import Server
from humbug_agent.ini import Secret
from humbug_agent.outbox import api_queries
from humbug_agent.outbox.api_store import OutboxStore
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.while1.pages import signed

ZONE = ZoneInfo("Europe/Bucharest")
TOKEN, KEY = "your_api_token", "your_api_key"
EMAIL, USER_KEY, PASSWORD = "your@mail.com", "1234567890", "Pass/word 1&2"


def account(name: str = "all", *tenants: str) -> ApiAccount:
    """Its keys are the page's own for ``all``, which sees all calls; else they have the name before them."""
    own = "" if name == "all" else f"{name}-"
    return ApiAccount(
        name,
        {tenant: (tenant,) for tenant in tenants} or None,
        token=Secret(f"{own}{TOKEN}"),
        api_key=Secret(f"{own}{KEY}"),
        username=f"{own}{EMAIL}",
        user_key=Secret(f"{own}{USER_KEY}"),
        email=f"{own}{EMAIL}",
        password=Secret(f"{own}{PASSWORD}"),
    )


def call(number: int, **changes: Any) -> CDR:
    """The ``number``-th of a series of calls, each of which begins a second after the one before."""
    start = datetime(2026, 3, 14, 9, 0, tzinfo=UTC).astimezone(timezone(timedelta(hours=2))) + timedelta(seconds=number)
    answered = number % 2 == 0
    usual: dict[str, Any] = {
        "identity": digest("made", str(number)),
        "src": f"0312{number % 10**6:06}",
        "dst": f"0700{number % 10**4:06}",
        "dcontext": "from-internal",
        "clid": f'"Desk {number}" <0312{number % 10**6:06}>',
        "channel": f"PJSIP/desk-{number:08x}",
        "dstchannel": "PJSIP/trunk-1" if answered else "",
        "lastapp": "",
        "lastdata": "",
        "start": start,
        "answer": start + timedelta(seconds=10) if answered else None,
        "end": start + timedelta(seconds=25 if answered else 12),
        "duration": 25 if answered else 12,
        "billsec": 15 if answered else 0,
        "disposition": Disposition.ANSWERED if answered else Disposition.NO_ANSWER,
        "direction": Direction.OUTBOUND if number % 3 else Direction.INBOUND,
        "accountcode": f"t{number % 4}",
        "uniqueid": f"{int(start.timestamp())}.{number}",
        "linkedid": f"{int(start.timestamp())}.{number - number % 2}",
    }
    return CDR(**(usual | changes))


def store(path: Path, calls: Sequence[CDR]) -> None:
    with Outbox(path) as outbox:
        outbox.accept("made", Batch(list(calls), [], None), ["humbug"])


class ServedApi:
    """The server, and a client of it. ``accounts``: who may ask."""

    def __init__(self, path: Path, *accounts: ApiAccount, **changes: Any) -> None:
        self.path = path
        named = {one.name: one for one in accounts or (account(),)}
        where: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "certificate": None, "private_key": None}
        apis: dict[str, Any] = dict.fromkeys(("cdr", "getcdr", "call_range", "register"), True)
        settings = ServedApiSettings(**where, require_tls=False, **apis, accounts=named)
        self._settings = replace(settings, **changes)

    def __enter__(self) -> Self:
        with Outbox(self.path) as outbox:
            api_queries.prepare(outbox, api_queries.INDEXES)
        self._held = ExitStack()
        workers = Workers(partial(OutboxStore, self.path, Views()))
        self._held.callback(workers.stop)
        server = Server(Api(self._settings, ZONE, "keep_days = 90", workers), self._settings)
        server.start()
        self._held.callback(server.stop)
        self.where = f"http://127.0.0.1:{server.port}"
        self.url = f"{self.where}/api/cdr"
        self._session = self._held.enter_context(requests.Session())
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def post(self, body: bytes | str, token: str = TOKEN, **headers: str) -> requests.Response:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return self._session.post(self.url, data=body, headers=bearer | headers, timeout=60)

    def ask(self, filters: Mapping[str, Any], page: int = 1, name: str = "all", form: str = "json") -> dict[str, Any]:
        """The answer to a question that is rightly signed."""
        who = account(name)
        kind, body = signed({"page": page, "filters": dict(filters)}, revealed(who.api_key), form)
        answer = self.post(body, revealed(who.token), **{"Content-Type": kind})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = json.loads(answer.content)
        return found

    def ids(self, filters: Mapping[str, Any], name: str = "all") -> list[int]:
        """All of them, page by page."""
        found: list[int] = []
        page = most = 1
        while page <= most:
            answer = self.ask(filters, page, name)
            assert not answer["has_error"], answer["messages"]
            found += [int(row["id"]) for row in answer["results"]]
            most, page = answer["pagination"]["max_page"], page + 1
        return found
