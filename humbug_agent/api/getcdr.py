"""getCDR at /, as BOXIS has it: an authcode over the timestamp and the user's key, calls of one tenant and some time.

Source: Get Calls History, the vendor's page; its sample asks getCallsHistory for the calls of one number (``line``) in
the same way. What it leaves open is in docs/api.md.
"""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from hashlib import md5
from html import escape
from typing import ClassVar, Protocol

from humbug_agent.api.calls import StoredCall, moment, with_whole
from humbug_agent.api.exchange import JSON, XML, Answer, Guard, Request, revealed, same
from humbug_agent.api.settings import ApiAccount
from humbug_agent.api.walk import Walk, begun, closed
from humbug_agent.api.workers import Workers
from humbug_agent.call_store.contract import Wanted
from humbug_agent.call_store.failures import CantAnswer
from humbug_agent.cdr import Direction
from humbug_agent.http_server.php import json_encode, parse_str

PATIENCE_SECONDS = 300
"""So far may a client's clock be from this host's; who is wrong is told the time, and may ask again with it."""

NEVER = "0000-00-00 00:00:00"

EXTRA = (
    "realsrc", "firstdst", "lastdst", "srcCallID", "prevuniqueid", "peeraccount", "sequence", "originateid", "linkedid",
    "wherelanded", "pincode", "prevsequence", "cc_peername", "cc_date", "cc_type", "cc_type_id", "cc_country",
    "cc_network", "cc_international", "cc_cost",
)  # fmt: skip
"""Behind Asterisk's own fields, in the order of the page."""

NULL = ("prevsequence", "cc_type_id")
"""These are null on the page where nothing is said, the others blank."""

_TAG = re.compile(r"\[(inbound|outbound|internal)\]")
"""A direction as the page's userfield has it, such as [inbound]."""

_TIMESTAMP = re.compile(r"[0-9]{1,12}")

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Row = Mapping[str, str | None]

log = logging.getLogger(__name__)


class WrongRequest(ValueError):
    """What is wrong with it, in the words of the answer."""


class Form(Protocol):
    """What the answers look like, JSON or XML."""

    kind: bytes
    between: bytes

    def failed(self, why: str, now: int, *, clock: bool) -> bytes: ...

    def before(self, said: str, *, some: bool) -> bytes: ...

    def row(self, row: Row, number: int) -> bytes: ...

    def after(self, now: int, *, some: bool) -> bytes: ...


class AsJson:
    """As PHP's json_encode has it, in which an array without anything is a list."""

    kind, between = JSON, b","

    def failed(self, why: str, now: int, *, clock: bool) -> bytes:
        told = {"timestamperror": "1"} if clock else {}
        return json_encode({"result": "0", "resulttxt": f"Error: {why}", **told, "timestamp": now})

    def before(self, said: str, *, some: bool) -> bytes:
        return b'{"result":"1","resulttxt":%s,"params":{"cdr":%s' % (json_encode(said), b"{" if some else b"[")

    def row(self, row: Row, number: int) -> bytes:
        return b'"call_%d":%s' % (number, json_encode(row))

    def after(self, now: int, *, some: bool) -> bytes:
        return b'%s},"timestamp":%d}' % (b"}" if some else b"]", now)


class AsXml:
    """The same names as elements."""

    kind, between = XML, b""

    def failed(self, why: str, now: int, *, clock: bool) -> bytes:
        told = "<timestamperror>1</timestamperror>" if clock else ""
        said = f"<result>0</result><resulttxt>{_text(f'Error: {why}')}</resulttxt>{told}<timestamp>{now}</timestamp>"
        return f"{_HEAD}{said}</response>".encode()

    def before(self, said: str, *, some: bool) -> bytes:
        return f"{_HEAD}<result>1</result><resulttxt>{_text(said)}</resulttxt><params><cdr>".encode()

    def row(self, row: Row, number: int) -> bytes:
        fields = "".join(f"<{name}>{_text(value or '')}</{name}>" for name, value in row.items())
        return f"<call_{number}>{fields}</call_{number}>".encode()

    def after(self, now: int, *, some: bool) -> bytes:
        return f"</cdr></params><timestamp>{now}</timestamp></response>".encode()


_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<response>'
_FORMS: Mapping[str, Form] = {"json": AsJson(), "xml": AsXml()}


class GetCdr:
    """The API getCDR, for those of the ``accounts``. ``retention`` is the setting by which the store drops calls.

    Times are understood, and shown, in ``zone`` where a call does not say how the PBX's clock stood.
    """

    paths: ClassVar[Mapping[str, tuple[str, ...]]] = {"/": ("POST",)}

    def __init__(
        self, accounts: Sequence[ApiAccount], zone: tzinfo, retention: str, workers: Workers, guard: Guard
    ) -> None:
        self._accounts = accounts
        self._zone = zone
        self._walk = Walk(workers, zone, retention)
        self._guard = guard

    async def answer(self, request: Request) -> Answer:
        said = parse_str(request.body.decode("latin-1"))
        asked = {name: value for name, value in said.items() if isinstance(value, str)}
        now = int(time.time())
        form = _FORMS.get(asked.get("returntype", "json").lower(), _FORMS["json"])
        timestamp = asked.get("timestamp", "")
        if not _TIMESTAMP.fullmatch(timestamp) or abs(int(timestamp) - now) > PATIENCE_SECONDS:
            why = "timestamp is not this server's time; ask again with that of this answer"
            return Answer(200, form.failed(why, now, clock=True), form.kind)
        async with self._guard.turn(request):
            account = who(asked, self._accounts)
            if account is None:
                await self._guard.wrong(request)
                return Answer(200, form.failed("check username and authcode", now, clock=False), form.kind)
        try:
            wanted = _wanted(asked, account, self._zone)
        except WrongRequest as error:
            return Answer(200, form.failed(str(error), now, clock=False), form.kind)
        try:
            dropped = await self._walk.dropped(wanted)
            rows = self._walk.rows(
                wanted, lambda call, number: form.row(with_whole(row(call), call, request), number), form.between
            )
            first, more = await begun(rows)
        except CantAnswer as error:
            log.error("[api] %s", error)
            why = "the calls can't be looked up now, or not within the time; ask for a shorter time"
            return Answer(503, form.failed(why, now, clock=False), form.kind)
        some = bool(first)
        before = form.before(f"success; {dropped}" if dropped else "success", some=some)
        return Answer(200, before + first, form.kind, more=closed(more, form.after(now, some=some)))

    def failed(self, status: int, why: str) -> Answer:
        return Answer(status, AsJson().failed(why, int(time.time()), clock=False))


def who(asked: Mapping[str, str], accounts: Sequence[ApiAccount]) -> ApiAccount | None:
    """Whose name and authcode these are. How long it takes tells neither."""
    found = None
    for account in accounts:
        signed = md5((asked.get("timestamp", "") + revealed(account.user_key)).encode(), usedforsecurity=False)
        right = same(asked.get("username", ""), account.username)
        right &= same(asked.get("authcode", "").lower(), signed.hexdigest())
        found = account if right else found
    return found


def _wanted(asked: Mapping[str, str], account: ApiAccount, zone: tzinfo) -> Wanted:
    """Raises WrongRequest."""
    if asked.get("version") != "1.0":
        raise WrongRequest("version is 1.0")
    if asked.get("returntype", "json").lower() not in _FORMS:
        raise WrongRequest("returntype is json or xml")
    if asked.get("section") not in ("voice", "voip") or asked.get("action") not in ("getCDR", "getCallsHistory"):
        raise WrongRequest("unknown function: section is voice, and action is getCDR")
    since, until = _moment(asked, "datefrom", zone, last=False), _moment(asked, "dateto", zone, last=True)
    # To the end of that second: some PBXs write parts of them.
    until = None if until is None else until + 1
    named = "tenant" if asked["action"] == "getCDR" else "line"
    value = asked.get(named, "").strip()
    if not value:
        raise WrongRequest(f"{named} is missing")
    if named == "line":
        return Wanted(tenants=account.seen, number=value, since=since, until=until)
    if not (carried := account.of(value)):
        raise WrongRequest("unknown tenant")
    return Wanted(tenants=carried, since=since, until=until)


def _moment(asked: Mapping[str, str], name: str, zone: tzinfo, *, last: bool) -> float | None:
    """None where it is blank. Raises WrongRequest."""
    if not (said := asked.get(name, "").strip()):
        return None
    try:
        return moment(said, zone, last=last)
    except (ValueError, OverflowError):
        raise WrongRequest(f"{name} is not a date such as 2012-05-09 10:00:00") from None


def row(call: StoredCall) -> Row:
    """A call's fields, in the order of the page.

    ``direction``, which the page does not have, stands last where userfield says another one than is stored, or none.
    """
    flat, extra = call.flat, call.extra
    tag = _TAG.search(flat.userfield)
    told = {} if flat.direction == (tag[1] if tag else Direction.UNKNOWN) else {"direction": flat.direction}
    of_call = {name: extra.get(name, None if name in NULL else "") for name in EXTRA}
    return {
        "uniqueid": flat.uniqueid or flat.identity.hex(),
        "start": call.start,
        "answer": call.answer or NEVER,
        "end": call.end,
        "clid": flat.clid,
        "src": flat.src,
        "dst": flat.dst,
        "dcontext": flat.dcontext,
        "channel": flat.channel,
        "dstchannel": flat.dstchannel,
        "lastapp": flat.lastapp,
        "lastdata": flat.lastdata,
        "duration": str(flat.duration),
        "billsec": str(flat.billsec),
        "disposition": flat.disposition,
        "amaflags": extra.get("amaflags", ""),
        "accountcode": flat.accountcode,
        "userfield": flat.userfield or (f"[{flat.direction}]" if told else ""),
        **of_call,
        # Which, with uniqueid, tells one call from another.
        "sequence": extra.get("sequence") or str(call.id),
        "linkedid": flat.linkedid,
        **told,
    }


def _text(said: str) -> str:
    return escape(_NO_XML.sub("\ufffd", said), quote=False)
