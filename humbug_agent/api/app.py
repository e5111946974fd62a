"""The ASGI application of [api]: it has each request answered by the API whose path it names."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import tzinfo

from starlette.types import Receive, Scope, Send

from humbug_agent.api.call_range import CallRange
from humbug_agent.api.cdr import Cdr
from humbug_agent.api.exchange import Guard, Part, Request, send_answer
from humbug_agent.api.getcdr import GetCdr
from humbug_agent.api.settings import ServedApiSettings
from humbug_agent.api.workers import Workers
from humbug_agent.http_server.bodies import Bodies, Gone, Refused
from humbug_agent.http_server.refusals import Refusal, with_headers

MOST_BYTES, MOST_ARRIVING_BYTES, BODY_SECONDS = 1 << 16, 4 << 20, 10.0
"""Of one request, which has a few hundred bytes; and of all that have come in part."""

TLS_NEEDED = Refusal(403, "ERROR: SSL QUERY REQUIRED")
NO_SUCH_PATH = Refusal(404, "ERROR: NOT FOUND")


class Api:
    """The ASGI application.

    ``zone`` is the PBX's, ``retention`` the setting by which the store that the ``workers`` look into drops calls.
    """

    def __init__(self, settings: ServedApiSettings, zone: tzinfo, retention: str, workers: Workers) -> None:
        self._settings = settings
        guard = Guard(settings.label)
        served: list[Part] = []
        if settings.cdr:
            served.append(Cdr(settings.asking("cdr"), zone, retention, workers, guard))
        if settings.getcdr:
            served.append(GetCdr(settings.asking("getcdr"), zone, retention, workers, guard))
        if settings.call_range:
            asking = settings.asking("call_range")
            served.append(CallRange(asking, zone, retention, workers, guard, register=settings.register))
        self._parts: Mapping[str, Part] = {path: part for part in served for path in part.paths}
        too_large = f"a request has at most {MOST_BYTES} bytes"
        self._bodies = Bodies(MOST_BYTES, MOST_ARRIVING_BYTES, BODY_SECONDS, too_large)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._settings.require_tls and scope["scheme"] == "http":
            await TLS_NEEDED(send)
        elif part := self._parts.get(scope["path"]):
            with suppress(Gone):
                await self._answer(part, scope, receive, with_headers(send))
        else:
            await NO_SUCH_PATH(send)

    async def _answer(self, part: Part, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        methods = part.paths[scope["path"]]
        try:
            body = await self._bodies.read(headers, receive)
        except Refused as refused:
            answer = part.failed(refused.status, str(refused))
            if refused.late:
                answer = replace(answer, headers=((b"connection", b"close"),))
        else:
            if scope["method"] in methods:
                query = scope["query_string"].decode("latin-1")
                answer = await part.answer(Request(scope, scope["method"], scope["path"], query, headers, body))
            else:
                answer = part.failed(405, f"Method not allowed: ask by {' or '.join(methods)}")
                answer = replace(answer, headers=((b"allow", ", ".join(methods).encode()),))
        await send_answer(send, answer, scope["state"]["gone"])
