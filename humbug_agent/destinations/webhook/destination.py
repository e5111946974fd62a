"""Any URL: JSON by POST, signed as Standard Webhooks says.

The body is one event, or where ``batch`` is more than 1 an array of events, in the form that
docs/destinations/webhook.schema.json has.
Source of the headers and of the signature: https://www.standardwebhooks.com, "Webhook headers" and "Signature scheme".
"""

import base64
import hmac
import time
from collections.abc import Mapping, Sequence
from datetime import tzinfo

from humbug_agent import __version__
from humbug_agent.cdr import Record, digest
from humbug_agent.destinations.contract import Answer, Batch, Misconfigured, Preview, Unsendable
from humbug_agent.destinations.events import FIELDS, as_json, as_texts, event
from humbug_agent.destinations.http import HttpDestination, Poster, judge
from humbug_agent.destinations.webhook.settings import WebhookSettings
from humbug_agent.flat import Flat, flatten
from humbug_agent.http_client.client import Response
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.scrub import LEAST, MASK


class Webhook(HttpDestination):
    """Sends to the URL that ``settings`` name. ``zone`` is that of times of which the PBX's clock is not known."""

    def __init__(self, settings: WebhookSettings, zone: tzinfo, _: NumbersSettings) -> None:
        self.name = settings.name
        self.connections, self.batch = settings.connections, settings.batch
        self._settings = settings
        self._zone = zone
        self._key = settings.key()
        self._fields = settings.fields or FIELDS
        headers = {name: value.reveal() for name, value in settings.headers}
        poster = Poster(
            settings.url,
            name=settings.name,
            timeout=settings.timeout,
            user_agent=f"humbug-agent/{__version__}",
            content_type="application/json",
            headers=headers,
            ca_file=settings.ca_file,
            client_cert=settings.certificate(),
            proxy=settings.proxy.reveal() if settings.proxy else None,
            secrets=[one for value in [*headers.values(), *_revealed(settings)] for one in _said_back(value)],
        )
        super().__init__(poster, self._judge)

    def begin(self, batches: Sequence[Batch]) -> None:
        self._poster.begin(batches, self._request)

    def preview(self, record: Record) -> Preview:
        flat = flatten(record)
        masked = {name: MASK for name, _ in self._settings.headers}
        if self._key:
            masked |= {
                name: MASK if "signature" in name else value for name, value in self._signed([flat], b"").items()
            }
        return Preview(masked | as_texts(flat, self._zone, self._fields), self.body([flat]).decode())

    def check(self) -> str:
        response = self._poster.get()
        if response.status in (401, 403, 407) or 300 <= response.status <= 399 or response.status >= 500:
            self._judge(response)
        signed = "signed" if self._key else "unsigned"
        return f"{self._poster.place}: answers ({response.status} to a GET, which is no POST), calls go {signed}"

    def body(self, flats: Sequence[Flat]) -> bytes:
        """UTF-8, and the same whenever the same calls are sent. Raises ValueError, TypeError, OverflowError."""
        events = [event(flat, self._zone, self._fields) for flat in flats]
        return as_json(events[0] if self._settings.batch == 1 else events).encode()

    def _request(self, flats: Sequence[Flat]) -> tuple[bytes, Mapping[str, str]]:
        try:
            body = self.body(flats)
        except (ValueError, TypeError, OverflowError) as error:
            raise Unsendable(f"can't be said in JSON: {error}") from error
        return body, self._signed(flats, body)

    def _signed(self, flats: Sequence[Flat], body: bytes) -> dict[str, str]:
        """The headers. The id is the same whenever the same calls are sent together."""
        identity = flats[0].identity if len(flats) == 1 else digest(*(flat.identity.hex() for flat in flats))
        number, moment = identity.hex(), str(int(time.time()))
        headers = {"webhook-id": number, "webhook-timestamp": moment}
        if self._key:
            signature = hmac.digest(self._key, f"{number}.{moment}.".encode() + body, "sha256")
            headers["webhook-signature"] = f"v1,{base64.b64encode(signature).decode()}"
        return headers

    def _judge(self, response: Response) -> Answer:
        said, place = self._poster.said(response), self._poster.place
        if response.status == 410:
            raise Misconfigured(f"{place}: answered 410: it wants no more calls", Answer(410, said))
        return judge(response.status, said, response.retry_after, place, credentials="secret, headers and client_cert")


def _revealed(settings: WebhookSettings) -> list[str]:
    return [settings.secret.reveal()] if settings.secret else []


def _said_back(value: str) -> list[str]:
    """The secrets in a header's value: all of it, and what stands behind a word such as Bearer."""
    return [one for one in {value, value.rpartition(" ")[2]} if len(one) >= LEAST]
