"""What can be asked over HTTP: IPPS, the page and its numbers, metrics, health."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from humbug_agent import __version__
from humbug_agent.board.model import Board, View
from humbug_agent.delivery.tally import Tally
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.web import health, ipps, shown
from humbug_agent.web.facts import Facts
from humbug_agent.web.metrics import metrics
from humbug_agent.words import iso

VIEW_SECONDS, STATUS_SECONDS = 0.05, 0.25
"""How old a view of the board may be, and /status.json as a whole: a thousand clients cost no more than one."""

AWAY = "ERROR: NOT CONNECTED TO THE PBX"
"""What IPPS has no words for: what was true a while ago must not be told as what is now."""

PAGES = {"index.html": "/", "wall.html": "/wall"}
"""The files that have another address than their name."""

TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class App:
    """The routes' handlers. ``tallies`` are by destination."""

    def __init__(
        self,
        zone: tzinfo,
        numbers: NumbersSettings,
        boards: Sequence[Board],
        facts: Facts,
        tallies: Mapping[str, Tally],
    ) -> None:
        self._zone = zone
        self._numbers = numbers
        self._boards = boards
        self._facts = facts
        self._tallies = tallies
        self._told = b""
        self._told_at = float("-inf")

    def routes(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/ipps/channelinfo.php", self._channelinfo),
                Route("/ipps/queueactive.php", self._queueactive),
                Route("/status.json", self._status),
                Route("/metrics", self._metrics),
                Route("/healthz", self._healthz),
                *_page(),
            ]
        )

    def _views(self) -> list[View]:
        return [board.view(VIEW_SECONDS) for board in self._boards]

    async def _channelinfo(self, request: Request) -> Response:
        return self._ipps(lambda views: ipps.channelinfo(request.query_params, views))

    async def _queueactive(self, request: Request) -> Response:
        return self._ipps(lambda views: ipps.queueactive(request.query_params, views, self._numbers, self._zone))

    def _ipps(self, body: Callable[[Sequence[View]], str]) -> Response:
        views = self._views()
        said = body(views)
        if not said.startswith("ERROR:") and not (views and all(view.live for view in views)):
            return PlainTextResponse(AWAY, 503)
        return PlainTextResponse(said)

    async def _status(self, request: Request) -> Response:
        if time.monotonic() - self._told_at >= STATUS_SECONDS:
            self._told = await self._tell()
            self._told_at = time.monotonic()
        return Response(self._told, media_type="application/json")

    async def _tell(self) -> bytes:
        now, found = time.time(), await self._facts.now()
        about = found.status.as_json() if found.status else {}
        views = self._views()
        said = {
            "now": iso(now, self._zone),
            "version": __version__,
            "boards": [shown.board(view, self._numbers, self._zone, now) for view in views],
            "agent": {**about, "as_of": iso(found.at, self._zone), "error": found.error},
            "sent_per_minute": {name: tally.per_minute(now) for name, tally in self._tallies.items()},
        }
        return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()

    async def _metrics(self, request: Request) -> Response:
        found, views = await self._facts.now(), self._views()
        counted = {name: (tally.delivered, tally.failed) for name, tally in self._tallies.items()}
        body, kind = await run_in_threadpool(metrics, found.status, found.error, views, counted)
        return Response(body, headers={"content-type": kind})

    async def _healthz(self, request: Request) -> Response:
        found = await self._facts.now()
        reasons = health.reasons(found.status, found.error, self._views())
        return PlainTextResponse("\n".join(reasons or ["ok"]) + "\n", 503 if reasons else 200)


def _page() -> list[Route]:
    """The pages and what belongs to them, by their names."""
    shipped = [file for file in files("humbug_agent.web").joinpath("static").iterdir() if file.is_file()]
    return [
        Route(PAGES.get(file.name, f"/{file.name}"), _file(file.read_bytes(), Path(file.name).suffix))
        for file in shipped
    ]


def _file(body: bytes, suffix: str) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        return Response(body, media_type=TYPES[suffix])

    return answer
