"""What can be asked over HTTP: IPPS, the page and its numbers, also as they change, metrics, health."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from humbug_agent import __version__
from humbug_agent.board.model import Board, View
from humbug_agent.config import Config
from humbug_agent.delivery.tally import Tally
from humbug_agent.http_server.bodies import Bodies, Gone, Refused
from humbug_agent.http_server.forms import form
from humbug_agent.http_server.settings import StatusSettings
from humbug_agent.outbox import journeys
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxError
from humbug_agent.web import health, ipps, shown
from humbug_agent.web.facts import Facts
from humbug_agent.web.history import history
from humbug_agent.web.metrics import metrics
from humbug_agent.web.streams import Document, Streams
from humbug_agent.words import iso, said

VIEW_SECONDS, STATUS_SECONDS = 0.05, 0.25
"""How old a view of the board may be, and /status.json as a whole: a thousand clients cost no more than one."""

MOST_BYTES, MOST_ARRIVING_BYTES, BODY_SECONDS = 1 << 16, 1 << 20, 10.0
"""Of a form that is posted to IPPS, of all that have come in part, and how long one may take."""

AWAY = "ERROR: NOT CONNECTED TO THE PBX"
"""What IPPS has no words for: what was true a while ago must not be told as what is now."""

PAGES = {"index.html": "/", "wall.html": "/wall", "delivery.html": "/delivery", "history.html": "/history"}
"""The files that have another address than their name."""

TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class App:
    """The routes' handlers. ``tallies`` are by destination."""

    def __init__(
        self,
        config: Config,
        settings: StatusSettings,
        boards: Sequence[Board],
        facts: Facts,
        tallies: Mapping[str, Tally],
    ) -> None:
        self._zone = config.agent.timezone
        self._numbers = config.numbers
        self._queues = config.queues
        self._sip_is_pjsip = settings.sip_is_pjsip
        self._bodies = Bodies(MOST_BYTES, MOST_ARRIVING_BYTES, BODY_SECONDS, "ERROR: TOO LONG")
        self._boards = boards
        self._facts = facts
        self._tallies = tallies
        self._seen: object = None
        self._document: Document = {}
        self._told = b""
        self._told_at = float("-inf")
        self._streams = Streams(self._look, self._zone)

    def routes(self) -> Starlette:
        routes = [
            Route("/ipps/channelinfo.php", self._channelinfo, methods=["GET", "POST"]),
            Route("/ipps/queueactive.php", self._queueactive, methods=["GET", "POST"]),
            Route("/status.json", self._status),
            Route("/stream", self._streams.answer),
            Route("/journey.json", self._journey),
            Route("/history.json", self._history),
            Route("/metrics", self._metrics),
            Route("/healthz", self._healthz),
            *_page(),
        ]
        app = Starlette(routes=[*routes, *(_slashed(route) for route in routes if route.path != "/")])
        # Its own would lead to whatever host the client named.
        app.router.redirect_slashes = False
        return app

    def _views(self) -> list[View]:
        return [board.view(VIEW_SECONDS) for board in self._boards]

    async def _channelinfo(self, request: Request) -> Response:
        return await self._ipps(request, lambda asked, views: ipps.channelinfo(asked, views, self._sip_is_pjsip))

    async def _queueactive(self, request: Request) -> Response:
        about = self._numbers, self._zone, self._sip_is_pjsip
        return await self._ipps(request, lambda asked, views: ipps.queueactive(asked, views, *about))

    async def _ipps(self, request: Request, body: Callable[[Mapping[str, str], Sequence[View]], str]) -> Response:
        try:
            asked = await self._asked(request)
        except Refused as refused:
            return PlainTextResponse(str(refused), refused.status, {"connection": "close"} if refused.late else None)
        except Gone:
            return Response()
        views = self._views()
        said = body(asked, views)
        if not said.startswith("ERROR:") and not (views and all(view.live for view in views)):
            return PlainTextResponse(AWAY, 503)
        return PlainTextResponse(said)

    async def _asked(self, request: Request) -> Mapping[str, str]:
        """The parameters: those of the address and, of a POST, of the form in its body. Raises Refused, Gone."""
        if request.method != "POST":
            return request.query_params
        body = await self._bodies.read(dict(request.scope["headers"]), request.receive)
        return {**request.query_params, **form(request.headers.get("content-type", ""), body)}

    async def _status(self, request: Request) -> Response:
        if time.monotonic() - self._told_at >= STATUS_SECONDS:
            self._told = await self._tell()
            self._told_at = time.monotonic()
        return Response(self._told, media_type="application/json")

    async def _tell(self) -> bytes:
        document, now = await self._look(), time.time()
        said = {"now": iso(now, self._zone), **document}
        return json.dumps(
            said, ensure_ascii=False, separators=(",", ":"), default=lambda since: since.seconds(now)
        ).encode()

    async def _look(self) -> Document:
        """What is told at this moment, but for the time: the same object, where nothing differs from the last one."""
        found = await self._facts.now()
        sent = {name: tally.per_minute(time.time()) for name, tally in self._tallies.items()}
        views = self._views()
        shown.CLOCK.look()
        if self._seen != (views, found, sent, shown.CLOCK.apart):
            self._seen = (views, found, sent, shown.CLOCK.apart)
            about = found.status.as_json() if found.status else {}
            self._document = {
                "version": __version__,
                "boards": [shown.board(view, self._numbers, self._queues, self._zone) for view in views],
                "agent": {**about, "as_of": iso(found.at, self._zone), "error": found.error},
                "sent_per_minute": sent,
            }
        return self._document

    async def _journey(self, request: Request) -> Response:
        """The stored calls of the one with this linkedid; those that are not over are on the board."""
        ident = request.query_params.get("id", "")

        def told(outbox: Outbox) -> object:
            found = journeys.named(outbox, ident)
            return (
                found.as_json(self._zone) if found else {"tied_by": journeys.NOTHING, "id": "", "note": "", "calls": []}
            )

        return await self._answered(told)

    async def _history(self, request: Request) -> Response:
        return await self._answered(lambda outbox: history(outbox, self._numbers, self._zone, time.time()))

    async def _answered(self, question: Callable[[Outbox], object]) -> Response:
        try:
            return JSONResponse(await run_in_threadpool(self._facts.ask, question))
        except (OutboxError, OSError) as error:
            return PlainTextResponse(said(error), 503)

    async def _metrics(self, request: Request) -> Response:
        found, views = await self._facts.now(), self._views()
        counted = {name: (tally.delivered, tally.failed) for name, tally in self._tallies.items()}
        body, kind = await run_in_threadpool(metrics, found.status, found.error, views, counted, self._queues)
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


def _slashed(route: Route) -> Route:
    """The way from the same address with a slash behind it."""
    name = route.path.rpartition("/")[2]

    def answer(request: Request) -> Response:
        query = request.scope["query_string"].decode("latin-1")
        return Response(status_code=307, headers={"location": f"../{name}?{query}" if query else f"../{name}"})

    return Route(f"{route.path}/", answer, methods=list(route.methods or ()))


def _file(body: bytes, suffix: str) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        return Response(body, media_type=TYPES[suffix])

    return answer
