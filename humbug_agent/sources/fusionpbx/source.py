"""FusionPBX's billing API (fusionapi): call_range, asked for one domain and a span of time after the other.

Each login makes a token that lasts until somebody logs out, which ends all of the user's: so a token is kept in the
cursor, another one is only asked for when it is refused, and we never log out.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from threading import Event
from typing import Any
from urllib.parse import quote, urlencode

from humbug_agent.cdr import CDR, Batch
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.freeswitch.xml_cdr_row import of_row
from humbug_agent.sources.fusionpbx.settings import FusionpbxSettings
from humbug_agent.sources.polling.progress import Progress
from humbug_agent.sources.polling.rows import ApiRow
from humbug_agent.sources.polling.source import WindowedSource

PAUSE = 1.1
"""Seconds between two requests at least: the program takes sixty a minute."""

LOCKED_OUT = 60.0
"""Seconds until a login is tried again that was refused, or did not help: each one may count, or makes a token."""


class _LoggedOut(Exception):
    """The token is not taken (any more)."""


class Fusionpbx(WindowedSource):
    """A source that asks FusionPBX for the calls of domains."""

    def __init__(self, settings: FusionpbxSettings, zone: tzinfo) -> None:
        super().__init__(settings, zone, settings.password, PAUSE, settings.domains, settings.email)
        self._settings = settings
        self._url = settings.api.url.rstrip("/").removesuffix("/api")
        self._token = ""  # nosec B105 # none so far
        self._helped = True

    def begin(self, progress: Progress) -> None:
        self._use(progress.token)

    def check(self) -> str:
        try:
            self._log_in(Event())
            return f"{self.asker.where}: logged in, {self.windowed.check()}"
        except _LoggedOut:
            raise self._useless() from None
        finally:
            self.asker.close()

    def round(self, progress: Progress, stop: Event, *, follow: bool) -> Iterator[Batch]:
        while True:
            if not self._token:
                progress.token = self._log_in(stop)
                yield Batch([], [], progress.dump())
            try:
                yield from super().round(progress, stop, follow=follow)
                return
            except _LoggedOut:
                self._refused()

    def _use(self, token: str) -> None:
        self._token = token
        self.asker.also_secret(token)

    def _log_in(self, stop: Event) -> str:
        login = {"email": self._settings.email, "password": self._settings.password.reveal()}
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        response = self.asker.ask(
            "POST", f"{self._url}/api/login", stop, body=json.dumps(login).encode(), headers=headers
        )
        if response.status not in (401, 403, 422):
            answer = self.asker.document(response)
            token = answer.get("token") if isinstance(answer, dict) else None
            if isinstance(token, str) and re.fullmatch(r"[!-~]+", token):
                self._use(token)
                self._helped = False
                return token
            if not isinstance(answer, dict) or "message" not in answer:
                raise self.asker.wrong(response, f"answered {response.status} to the login without a token; check url")
        said = _said(self.asker.json(response))
        raise SourceError(
            self.asker.masked(f"{self.asker.where}: the login was refused: {said}; check email and password"),
            LOCKED_OUT,
        )

    def _refused(self) -> None:
        """Another token may help. Raises SourceError if this one never did, though we had just got it."""
        helped, self._helped = self._helped, True
        self._token = ""  # nosec B105 # none so far
        if not helped:
            raise self._useless()

    def _useless(self) -> SourceError:
        return SourceError(
            f"{self.asker.where}: the login gave a token, and then it was not taken (401); check url, and whether a "
            "proxy before FusionPBX's API removes the header Authorization",
            LOCKED_OUT,
        )

    def ask(self, domain: str, begin: float, end: float, stop: Event) -> list[Any]:
        asked = {"domain_name": domain, "from": _stamp(begin), "to": _stamp(end + 1)}
        headers = {"Accept": "application/json", "Authorization": f"Bearer {self._token}"}
        url = f"{self._url}/api/call_range?{urlencode(asked, quote_via=quote)}"
        response = self.asker.ask("GET", url, stop, headers=headers)
        if response.status == 401:
            raise _LoggedOut
        self._helped = True
        if response.status == 422:
            raise self.asker.wrong(response, f"refused: {_said(self.asker.json(response))}; check domains")
        answer = self.asker.document(response, "email, and what it may see")
        if isinstance(answer, list):
            return answer
        raise self.asker.wrong(response, f"answered no list of calls: {_said(answer)}; check url and domains")

    def call(self, row: ApiRow) -> CDR:
        return of_row(row, self.zone)


def _stamp(seconds: float) -> str:
    """With its offset it is the same moment in whatever zone PostgreSQL takes times."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat(" ")


def _said(answer: Any) -> str:
    """The message of an answer that is no list of calls."""
    if not isinstance(answer, dict):
        return f"{answer!r}"[:100]
    errors = answer.get("errors")
    said = [answer.get("message"), *(errors.values() if isinstance(errors, dict) else ())]
    texts = [str(one[0] if isinstance(one, list) and one else one) for one in said if one]
    return "; ".join(texts) or "without a message"
