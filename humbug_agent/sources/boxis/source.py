"""BOXIS: getCDR, asked for one tenant and a span of local time after the other."""

import re
import time
from datetime import datetime, timedelta, tzinfo
from hashlib import md5
from threading import Event
from typing import Any
from urllib.parse import urlencode

from humbug_agent.cdr import CDR, Direction, Disposition, digest
from humbug_agent.http_client.client import Response
from humbug_agent.sources.boxis.settings import BoxisSettings
from humbug_agent.sources.polling.rows import ApiRow
from humbug_agent.sources.polling.source import WindowedSource
from humbug_agent.sources.wall_clock import times

PAUSE = 0.25
"""Seconds between two requests at least."""

TOLERATED = 1
"""Seconds between the two clocks with which an error is not for the clock."""

NEVER = "0000-00-00 00:00:00"

_DIRECTION = re.compile(r"\[(inbound|outbound|internal)\]")

_FIELDS = {
    "uniqueid", "start", "answer", "end", "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp",
    "lastdata", "duration", "billsec", "disposition", "accountcode", "userfield", "linkedid", "direction",
}  # fmt: skip
"""Those with a field of their own; the others go to ``extra``."""


class Boxis(WindowedSource):
    """A source that asks BOXIS for the calls of tenants."""

    def __init__(self, settings: BoxisSettings, zone: tzinfo) -> None:
        super().__init__(settings, zone, settings.user_key, PAUSE, settings.tenants, settings.username)
        self._settings = settings
        self._ahead = 0.0

    def check(self) -> str:
        try:
            return f"{self.asker.where}: logged in, {self.windowed.check()}"
        finally:
            self.asker.close()

    def ask(self, tenant: str, begin: float, end: float, stop: Event) -> list[Any]:
        response, answer = self._answer(tenant, begin, end, stop)
        params = answer.get("params")
        # PHP's empty array is a list, whatever it would have held.
        calls = [] if params == [] else params.get("cdr") if isinstance(params, dict) else None
        if isinstance(calls, dict):
            return list(calls.values())
        if isinstance(calls, list):
            return calls
        raise self.asker.wrong(response, "answered success, but params.cdr is neither an object nor a list")

    def _answer(self, tenant: str, begin: float, end: float, stop: Event) -> tuple[Response, dict[str, Any]]:
        """Raises SourceError of all but a success. An error that may be for our clock is worth a second try."""
        for last in (False, True):
            sent = int(time.time() + self._ahead)
            response = self.asker.ask(
                "POST", self.api.url, stop, body=self._form(sent, tenant, begin, end), headers=_HEADERS
            )
            answer = self.asker.document(response, "username and user_key")
            if not isinstance(answer, dict):
                raise self.asker.wrong(response, "answered JSON that is no object; check url")
            told = _epoch(answer.get("timestamp"))
            if told:
                self.asker.tells_time(told)
            if answer.get("result") == "1":
                return response, answer
            if last or not told or abs(told - sent) <= TOLERATED:
                break
            self._ahead = told - time.time()
        said = answer.get("resulttxt") or "neither success nor an error"
        raise self.asker.wrong(response, f"answered {said!r}; check username, user_key and tenants")

    def _form(self, timestamp: int, tenant: str, begin: float, end: float) -> bytes:
        key = self._settings.user_key.reveal()
        first, last = _local(begin, end, self.zone)
        return urlencode(
            {
                "version": "1.0",
                "returntype": "json",
                "timestamp": timestamp,
                "username": self._settings.username,
                "authcode": md5(f"{timestamp}{key}".encode(), usedforsecurity=False).hexdigest(),
                "section": "voice",
                "action": "getCDR",
                "tenant": tenant,
                "datefrom": first,
                "dateto": last,
            }
        ).encode()

    def call(self, row: ApiRow) -> CDR:
        uniqueid, sequence = row.required("uniqueid"), row.required("sequence")
        duration, billsec = row.whole("duration"), row.whole("billsec")
        stamps = {name: row.text(name) for name in ("start", "answer", "end")}
        stamps = {name: "" if stamp == NEVER else stamp for name, stamp in stamps.items()}
        start, answer, end = times({**stamps, "uniqueid": uniqueid}, self.zone, duration, billsec)
        userfield = row.text("userfield")
        tag = _DIRECTION.search(userfield)
        # humbug-agent's own getCDR says it beside, where the PBX's userfield says another one, or nothing.
        said = row.text("direction") or (tag[1] if tag else Direction.UNKNOWN)
        if "direction" in row and userfield == f"[{said}]":
            userfield = ""
        return CDR(
            identity=digest("boxis", uniqueid, sequence),
            src=row.text("src"),
            dst=row.text("dst"),
            dcontext=row.text("dcontext"),
            clid=row.text("clid"),
            channel=row.text("channel"),
            dstchannel=row.text("dstchannel"),
            lastapp=row.text("lastapp"),
            lastdata=row.text("lastdata"),
            start=start,
            answer=answer,
            end=end,
            duration=duration,
            billsec=billsec,
            disposition=Disposition(row.text("disposition")),
            direction=Direction(said),
            accountcode=row.text("accountcode"),
            uniqueid=uniqueid,
            userfield=userfield,
            linkedid=row.text("linkedid"),
            extra=row.rest(_FIELDS),
        )


_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


def _local(begin: float, end: float, zone: tzinfo) -> tuple[str, str]:
    """Local time. Where the clock is changed in between, it begins that much earlier and ends that much later.

    Otherwise what looks like the end could be before the beginning.
    """
    first, last = datetime.fromtimestamp(int(begin), zone), datetime.fromtimestamp(int(end) + 1, zone)
    changed = abs((last.utcoffset() or timedelta()) - (first.utcoffset() or timedelta()))
    first, last = first.replace(tzinfo=None) - changed, last.replace(tzinfo=None) + changed
    return first.isoformat(" "), last.isoformat(" ")


def _epoch(said: Any) -> int:
    """0 for what is no time."""
    return int(said) if isinstance(said, str) and re.fullmatch(r"[0-9]{9,10}", said) else 0
