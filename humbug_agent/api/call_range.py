"""/api/login, /api/logout, /api/calls and /api/call_range, as FusionPBX's billing API (fusionapi) has them.

Source: the program's page, and the program itself (Laravel 8 with Sanctum). What the two leave open is in docs/api.md.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from functools import partial
from typing import Any, ClassVar

from humbug_agent.api import tokens, xml_cdr
from humbug_agent.api.calls import StoredCall, moment, with_whole
from humbug_agent.api.exchange import Answer, Guard, Request, bearer, revealed, same
from humbug_agent.api.settings import ApiAccount
from humbug_agent.api.walk import Walk, begun, closed
from humbug_agent.api.workers import Workers
from humbug_agent.call_store.contract import Wanted
from humbug_agent.call_store.failures import CantAnswer
from humbug_agent.http_server.php import json_encode, parse_str

LOGIN, REGISTER, LOGOUT, CALLS, RANGE = "/api/login", "/api/register", "/api/logout", "/api/calls", "/api/call_range"

log = logging.getLogger(__name__)


class CallRange:
    """The billing API, for those of the ``accounts``. ``retention`` is the setting by which the store drops calls.

    ``register``: who registers with the email and the password of one of them gets a token, too; nobody else ever can.
    Times are understood, and shown, in ``zone`` where they, or a call, do not say another one.
    """

    paths: ClassVar[Mapping[str, tuple[str, ...]]] = {
        LOGIN: ("POST",),
        REGISTER: ("POST",),
        LOGOUT: ("POST",),
        CALLS: ("GET",),
        RANGE: ("GET",),
    }

    def __init__(
        self,
        accounts: Sequence[ApiAccount],
        zone: tzinfo,
        retention: str,
        workers: Workers,
        guard: Guard,
        *,
        register: bool,
    ) -> None:
        self._accounts = accounts
        self._register = register
        self._zone = zone
        self._workers = workers
        self._walk = Walk(workers, zone, retention)
        self._guard = guard

    async def answer(self, request: Request) -> Answer:
        try:
            if request.path == REGISTER and not self._register:
                return self.failed(403, "Registration is not allowed: who may ask stands in agent.ini")
            if request.path in (LOGIN, REGISTER):
                return await self._login(request, registers=request.path == REGISTER)
            async with self._guard.turn(request):
                name = await self._workers.look(partial(tokens.whose, bearer(request)))
                account = next((one for one in self._accounts if one.name == name), None)
                if account is None:
                    await self._guard.wrong(request)
                    return self.failed(401, "Unauthenticated.")
            if request.path == LOGOUT:
                await self._workers.look(lambda store: store.drop_tokens(account.name))
                return _said(200, {"message": "Logged out successfully.", "success": True})
            return await self._calls(request, account)
        except CantAnswer as error:
            log.error("[api] %s", error)
            return self.failed(503, "The calls can't be looked up now, or not within the time; ask for a shorter time")

    def failed(self, status: int, why: str) -> Answer:
        return _said(status, {"message": why, "success": False, "data": ""})

    async def _login(self, request: Request, *, registers: bool) -> Answer:
        """Raises CantAnswer, Gone."""
        said = _read(request.body)
        needed = ("name", "email", "password") if registers else ("email", "password")
        if missing := [name for name in needed if not said.get(name)]:
            return _invalid({name: f"The {name} field is required." for name in missing})
        if wrong := [name for name in needed if not isinstance(said[name], str)]:
            return _invalid({name: f"The {name} must be a string." for name in wrong})
        if registers and said.get("password_confirmation") != said["password"]:
            return _invalid({"password": "The password confirmation does not match."})  # nosec B105 # a message
        async with self._guard.turn(request):
            account = self._who(said["email"], said["password"])
            if account is None:
                await self._guard.wrong(request)
                if registers:
                    return _invalid({"email": "The email and password are nobody's who may register."})
                # The program itself says so with 200.
                return self.failed(200, "Invalid credentials.")
        token = await self._workers.look(lambda store: tokens.issued(account.name, store.add_token))
        user = {
            "id": self._accounts.index(account) + 1,
            "name": account.name,
            "email": account.email,
            **dict.fromkeys(("email_verified_at", "created_at", "updated_at")),
        }
        return _said(201, {"user": user, "token": token, "success": True})

    def _who(self, email: str, password: str) -> ApiAccount | None:
        """The account with this email and password, or None; the time that it takes tells nothing of either."""
        found = None
        for account in self._accounts:
            right = same(email, account.email)
            right &= same(password, revealed(account.password))
            found = account if right else found
        return found

    async def _calls(self, request: Request, account: ApiAccount) -> Answer:
        """Raises CantAnswer."""
        asked = parse_str(request.query)
        needed = ("domain_name", "from", "to") if request.path == RANGE else ("domain_name",)
        if missing := [name for name in needed if not asked.get(name)]:
            return _invalid({name: f"The {name.replace('_', ' ')} field is required." for name in missing})
        carried = account.of(domain) if isinstance(domain := asked["domain_name"], str) else ()
        if not carried:
            return _invalid({"domain_name": "The selected domain name is invalid."})
        wanted = Wanted(tenants=carried)
        if request.path == RANGE:
            ends = [self._moment(asked[name], last=name == "to") for name in ("from", "to")]
            if wrong := [name for name, end in zip(("from", "to"), ends, strict=True) if end is None]:
                return _invalid({name: f"The {name} is not a valid date." for name in wrong})
            # To the end of that second: some PBXs write parts of them.
            since, until = (end or 0.0 for end in ends)
            wanted = Wanted(tenants=carried, ended_since=since, ended_until=until + 1)
        dropped = await self._walk.dropped(wanted)
        # An answer that is a list has no other place to say so.
        headers = ((b"warning", f'299 humbug-agent "{dropped}"'.encode("ascii", "replace")),) if dropped else ()

        def row(call: StoredCall, number: int) -> bytes:
            return json_encode(with_whole(xml_cdr.row(call), call, request))

        first, more = await begun(self._walk.rows(wanted, row, b","))
        return Answer(200, b"[" + first, headers=headers, more=closed(more, b"]"))

    def _moment(self, said: object, *, last: bool) -> float | None:
        """None of what is no time."""
        try:
            return moment(str(said), self._zone, last=last)
        except (ValueError, OverflowError):
            return None


def _read(body: bytes) -> Mapping[str, Any]:
    """JSON or a form, whatever its Content-Type says; what is neither has nothing in it."""
    if body.lstrip()[:1] != b"{":
        return parse_str(body.decode("latin-1"))
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _invalid(errors: Mapping[str, str]) -> Answer:
    """The answer to parameters that are wrong, as Laravel's and the page's: ``data`` is JSON, as a text."""
    each = {name: [error] for name, error in errors.items()}
    said = {"message": "The given data was invalid.", "success": False, "data": json.dumps(each), "errors": each}
    return _said(422, said)


def _said(status: int, said: Mapping[str, Any]) -> Answer:
    return Answer(status, json_encode(said))
