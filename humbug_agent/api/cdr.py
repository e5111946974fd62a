"""/api/cdr, as While1 Voice's page describes it: a Bearer token, an md5 over the parameters, pages of 100 calls.

Source: API - Call Detail Records, the vendor's page. What it leaves open is in docs/api.md.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import partial
from typing import Any, ClassVar

from humbug_agent.api.calls import StoredCall, hours, moment, stored, with_whole
from humbug_agent.api.exchange import Answer, Guard, Request, bearer, revealed, same
from humbug_agent.api.settings import ApiAccount
from humbug_agent.api.walk import may_be_of
from humbug_agent.api.workers import Workers
from humbug_agent.call_store.contract import Store, Wanted
from humbug_agent.call_store.failures import CantAnswer
from humbug_agent.cdr import Direction, Disposition
from humbug_agent.http_server.php import http_build_query, parse_str
from humbug_agent.words import moment as in_words

PATH = "/api/cdr"
PAGE_SIZE = 100
MOST_PAGES = 10**9
LONGEST_TEXT = 200
"""Characters of a filter's value, and values of one filter."""

Parameters = Mapping[str, Any]

log = logging.getLogger(__name__)

_DIRECTIONS = {"IN": Direction.INBOUND.value, "OUT": Direction.OUTBOUND.value}
_SHOWN = {value: word for word, value in _DIRECTIONS.items()}
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")
_HAS = {
    "has_transcription": ("transcription_id", "transcription_text"),
    "has_monitor_file": ("monitor_files",),
    "has_recording_file": ("recording_file",),
}
_ID = re.compile(r"[0-9]{1,18}")
_HOUR = re.compile(r"([01]?[0-9]|2[0-3])(?::([0-5][0-9])(?::([0-5][0-9]))?)?")


class WrongFilter(ValueError):
    """A filter that is not known, or has a value that it can't have."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as /api/cdr reads it. ``signature`` is its api_hash, over all the other ``parameters``."""

    token: str
    signature: str
    parameters: Parameters


def read(request: Request) -> Asked:
    """The page has clients name text/xml what is a form: the body itself tells what it is. Raises ValueError."""
    if request.body.lstrip()[:1] == b"{":
        found = json.loads(request.body, parse_float=str, parse_constant=str)
        parameters = found if isinstance(found, dict) else {}
    else:
        parameters = parse_str(request.body.decode("latin-1") if request.body else request.query)
    signature = parameters.pop("api_hash", "")
    return Asked(bearer(request), signature if isinstance(signature, str) else "", parameters)


def who(asked: Asked, accounts: Sequence[ApiAccount]) -> ApiAccount | None:
    """Whose token and key these are. How long it takes tells neither. Raises ValueError where it can't be signed."""
    found = None
    query = http_build_query(asked.parameters)
    for account in accounts:
        signed = hashlib.md5((query + revealed(account.api_key)).encode(), usedforsecurity=False).hexdigest()
        right = same(asked.token, revealed(account.token))
        right &= same(asked.signature.lower(), signed)
        found = account if right else found
    return found


class Cdr:
    """The API /api/cdr, for those of the ``accounts``. ``retention`` is the setting by which the store drops calls.

    Times are shown in ``zone`` where a call does not say how the PBX's clock stood.
    """

    paths: ClassVar[Mapping[str, tuple[str, ...]]] = {PATH: ("GET", "POST")}

    def __init__(
        self, accounts: Sequence[ApiAccount], zone: tzinfo, retention: str, workers: Workers, guard: Guard
    ) -> None:
        self._accounts = accounts
        self._zone = zone
        self._retention = retention
        self._workers = workers
        self._guard = guard

    async def answer(self, request: Request) -> Answer:
        async with self._guard.turn(request):
            try:
                asked = read(request)
                account = who(asked, self._accounts)
            except (ValueError, RecursionError, TypeError):
                return self.failed(400, "Invalid request: neither a form nor a JSON object")
            if account is None:
                await self._guard.wrong(request)
                return self.failed(401, "Authentication failed: check the token and api_hash")
        try:
            number = _page(asked.parameters.get("page"))
            wanted, from_id = _wanted(asked.parameters.get("filters"), self._zone)
        except ValueError as error:
            return self.failed(200, str(error))
        wanted = replace(wanted, tenants=account.seen)
        try:
            job = partial(self._found, request, account.name, wanted, from_id, number)
            return Answer(200, await self._workers.look(job))
        except CantAnswer as error:
            log.error("[api] %s", error)
            return self.failed(503, "The calls can't be looked up now, or not within the time; ask for a shorter time")

    def failed(self, status: int, why: str) -> Answer:
        """The page's answer in case of an error."""
        said = {"has_error": True, "messages": [why], "pagination": [], "results": []}
        return Answer(status, json.dumps(said).encode())

    def _found(self, request: Request, name: str, wanted: Wanted, from_id: int, number: int, store: Store) -> bytes:
        page = store.page(name, wanted, from_id, number, PAGE_SIZE)
        results, messages = [], [*self._dropped(store, wanted, from_id)]
        for call, flat in page.calls:
            if found := stored(call, flat, self._zone):
                results.append(with_whole(row(found), found, request))
            else:
                messages.append(f"Call {call} is damaged in the store and left out")
        said = {
            "has_error": False,
            "messages": messages,
            "pagination": {
                "row_count": page.count,
                "page_size": PAGE_SIZE,
                "current_page": number,
                "max_page": -(-page.count // PAGE_SIZE),
            },
            "results": results,
        }
        return json.dumps(said, separators=(",", ":")).encode()

    def _dropped(self, store: Store, wanted: Wanted, from_id: int) -> Iterator[str]:
        """A message where the request also asks for calls that retention has dropped."""
        gone = store.dropped()
        if gone and from_id <= gone.last and may_be_of(wanted, gone):
            began = in_words(gone.start, self._zone)
            yield f"Calls with ids up to {gone.last} were dropped ({self._retention}); they began up to {began}"


def row(call: StoredCall) -> dict[str, Any]:
    """One of the results: null is what the PBX did not say."""
    flat, extra = call.flat, call.extra
    return {
        "id": str(call.id),
        "uniqueid": flat.uniqueid,
        "linkedid": flat.linkedid,
        "time": call.start,
        "time_end": call.end,
        "caller_id": flat.clid,
        "source": flat.src,
        "destination": flat.dst,
        "direction": _SHOWN.get(flat.direction),
        "channel_formatted": flat.channel,
        "dstchannel_formatted": flat.dstchannel,
        **_said(extra, "customer_id user_fullname qname"),
        "code": flat.dcontext,
        "call_status": flat.disposition,
        **_said(extra, "call_status_info call_codes"),
        "accounting_code": flat.accountcode or None,
        **_said(
            extra,
            "accounting_value comments monitor_files monitor_urls recording_file recording_url transfers project "
            "inbound_route inbound_route_id queue_log ivr_log external_id external_info agent_details is_recovered "
            "transcription_id transcription_text",
        ),
        "bill_duration": hours(flat.billsec),
        "duration": hours(flat.duration),
        "bill_minutes": -(-flat.billsec // 60),
        **_said(extra, "ivr_duration hold_time ring_time"),
    }


def _said(extra: Mapping[str, str], names: str) -> dict[str, str | None]:
    return {name: extra.get(name) for name in names.split()}


def _page(said: object) -> int:
    if said is None or said == "":
        return 1
    if isinstance(said, bool) or not _ID.fullmatch(str(said)) or not 1 <= int(str(said)) <= MOST_PAGES:
        raise ValueError("Invalid page")
    return int(str(said))


def _wanted(filters: object, zone: tzinfo) -> tuple[Wanted, int]:
    """Which calls the filters ask for, and from which id on. Raises ValueError, with the page's words for it."""
    if filters in (None, "", [], {}):
        return Wanted(), 0
    if not isinstance(filters, Mapping):
        raise ValueError("Invalid filter: filters")
    wanted, from_id = Wanted(), 0
    for name, value in filters.items():
        try:
            values = _values(value)
            if name not in _FILTERS and name != "from_id":
                raise WrongFilter
            if values and name == "from_id":
                from_id = _whole(_one(values))
            elif values:
                wanted = _FILTERS[name](wanted, values, zone)
        except (ValueError, OverflowError):
            raise ValueError(f"Invalid filter: {str(name)[:LONGEST_TEXT]}") from None
    return wanted, from_id


def _values(value: object) -> list[str]:
    """A filter's values as texts; none of null, of blank, and of a list without any."""
    several = [*value.values()] if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    found = []
    for one in several:
        if isinstance(one, bool):
            found.append("1" if one else "0")
        elif isinstance(one, str | int):
            found.append(str(one).strip())
        elif one is not None:
            raise WrongFilter
    found = [one for one in found if one]
    if len(found) > LONGEST_TEXT or any(len(one) > LONGEST_TEXT for one in found):
        raise WrongFilter
    for one in found:
        # Half a character can't be asked for.
        one.encode()
    return found


def _one(values: list[str]) -> str:
    if len(values) != 1:
        raise WrongFilter
    return values[0]


def _whole(value: str) -> int:
    if not _ID.fullmatch(value):
        raise WrongFilter
    return int(value)


def _between(wanted: Wanted, values: list[str], zone: tzinfo) -> Wanted:
    if len(values) != 2:
        raise WrongFilter
    begin, end = moment(values[0], zone), moment(values[1], zone, last=True)
    # To the end of that second: some PBXs write parts of them.
    return replace(wanted, since=begin, until=end + 1)


def _hours(wanted: Wanted, values: list[str], zone: tzinfo) -> Wanted:
    """A bare hour is all of it, the last one, too."""
    found = [_HOUR.fullmatch(one) for one in values]
    if len(found) != 2 or not found[0] or not found[1]:
        raise WrongFilter
    begin, end = ([int(one or 0) for one in each.groups()] for each in found if each)
    last = end[0] * 3600 + end[1] * 60 + end[2] if found[1][2] else end[0] * 3600 + 3599
    shift = datetime.now(zone).utcoffset()
    offset = round(shift.total_seconds()) if shift else 0
    return replace(wanted, hours=(begin[0] * 3600 + begin[1] * 60 + begin[2], last), offset=offset)


def _directions(wanted: Wanted, values: list[str], zone: tzinfo) -> Wanted:
    if not set(values) <= _DIRECTIONS.keys():
        raise WrongFilter
    return replace(wanted, directions=tuple(_DIRECTIONS[one] for one in values))


def _statuses(wanted: Wanted, values: list[str], zone: tzinfo) -> Wanted:
    return replace(wanted, dispositions=tuple(Disposition(one).value for one in values))


def _text(name: str, wanted: Wanted, values: list[str], zone: tzinfo) -> Wanted:
    found: dict[str, Any] = {name: _one(values)}
    return replace(wanted, **found)


def _part(name: str, wanted: Wanted, values: list[str], zone: tzinfo) -> Wanted:
    """What the page calls a wildcard: a part of it, wherever it stands."""
    return _text(name, wanted, [_one(values).strip("*%")], zone)


def _listed(name: str, wanted: Wanted, values: list[str], zone: tzinfo) -> Wanted:
    found: dict[str, Any] = {name: tuple(values)}
    return replace(wanted, **found)


def _else(name: str, wanted: Wanted, values: list[str], zone: tzinfo) -> Wanted:
    return replace(wanted, said=(*wanted.said, (name, tuple(values))))


def _has(name: str, wanted: Wanted, values: list[str], zone: tzinfo) -> Wanted:
    value = _one(values).lower()
    if value not in (*_YES, *_NO):
        raise WrongFilter
    return replace(wanted, has=(*wanted.has, (_HAS[name], value in _YES)))


_FILTERS: dict[str, Callable[[Wanted, list[str], tzinfo], Wanted]] = {
    "date_between": _between,
    "project_id": partial(_else, "project_id"),
    "user_id": partial(_else, "user_id"),
    "inbound_route_id": partial(_else, "inbound_route_id"),
    "direction": _directions,
    "call_status": _statuses,
    "telephone_like": partial(_part, "part"),
    "telephone": partial(_text, "number"),
    "source": partial(_part, "src"),
    "destination": partial(_part, "dst"),
    "hour_between": _hours,
    "uniqueid": partial(_listed, "uniqueids"),
    "linkedid": partial(_listed, "linkedids"),
    "external_id": partial(_else, "external_id"),
    **{name: partial(_has, name) for name in _HAS},
}
