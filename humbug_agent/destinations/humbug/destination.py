"""Humbug's receiver: one call a POST, the parameters of its page, plain or encoded.

Source of the format: the vendor's page "URL to post data" and its PHP samples. The parameter names are those of
Asterisk's AMI Cdr event. Encoded means XORed with a repeating key: that hides nothing from anyone who reads a
single request, since its text is partly known; HTTPS does.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from functools import lru_cache
from urllib.parse import quote_plus

from humbug_agent import __version__
from humbug_agent.cdr import Direction, Record
from humbug_agent.destinations.contract import Answer, Batch, Later, Preview, Refused, Unsendable
from humbug_agent.destinations.http import HttpDestination, Poster, judge
from humbug_agent.destinations.humbug.keys import Account
from humbug_agent.destinations.humbug.settings import HumbugSettings
from humbug_agent.flat import CALL, Flat, flatten, shown, texts
from humbug_agent.http_client.client import Response
from humbug_agent.ini import Secret
from humbug_agent.numbers.e164 import e164
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.scrub import MASK
from humbug_agent.words import count

_BETWEEN, _BAR = "\udcff", b"\xff"
"""What stands between values that are quoted together: with surrogateescape a byte that is in no text."""

_QUOTED = {bytes([byte]): b"%%%02X" % byte for byte in range(256)} | {b" ": b"+"}

SAME_ANSWERS = 16
"""So many answers are judged once: mostly all say the same."""


class Humbug(HttpDestination):
    """Sends to the receiver that ``settings`` names.

    A call's times are what the PBX's clock showed; ``zone`` is that of ``event_time`` and of times that don't say.
    Whose account a call is for is judged by all of it; ``hide`` makes of it what is told.
    """

    def __init__(
        self,
        settings: HumbugSettings,
        zone: tzinfo,
        numbers: NumbersSettings,
        hide: Callable[[Flat], Flat] | None = None,
    ) -> None:
        self.name = settings.name
        self.connections, self.batch = settings.connections, 1
        self._settings = settings
        self._zone = zone
        self._country = numbers.country
        self._hide = hide
        self._only_account = Account(settings.api_key)
        poster = Poster(
            settings.url,
            name=settings.name,
            timeout=settings.timeout,
            user_agent=f"humbug-agent/{__version__}",
            ca_file=settings.ca_file,
            proxy=settings.proxy.reveal() if settings.proxy else None,
            secrets=[one.reveal() for one in _secrets(settings)],
        )
        super().__init__(poster, lru_cache(SAME_ANSWERS)(self._judge))

    def begin(self, batches: Sequence[Batch]) -> None:
        now = self._now()
        self._poster.begin(batches, lambda flats: self._request(flats[0], now))

    def preview(self, record: Record) -> Preview:
        flat = flatten(record)
        fields, now = self.fields(self._told(flat)), self._event_time(flat, self._now())
        try:
            account = self._account(flat)
        except Unsendable as error:
            return Preview({}, f"nothing is sent: {error.reason}")
        key, gateway = self._settings.encryption_key, {"gateway": f"{MASK}{account.named}"}
        if key is None:
            shown = gateway | {"encoded": "0"} | fields | {"event_time": now}
            return Preview(shown, plain(MASK, fields, now).replace(quote_plus(MASK), MASK, 1))
        digits = 2 * len(inner(account.key.reveal(), fields, self._settings.value_escaping))
        # Any of the digits would give the key away, for the text under them is known.
        hidden = _form({"event_time": now})
        body = f"gateway={MASK}&encoded=1&data=<{digits} hex digits>&{hidden}"
        return Preview(gateway | {"encoded": "1"} | fields | {"event_time": now}, body)

    def check(self) -> str:
        response = self._poster.get()
        if response.status not in (405, 501):
            judge(response.status, self._poster.said(response), response.retry_after, self._poster.place)
        return f"{self._poster.place}: answers ({response.status}), {self._mode()}"

    def body(self, flat: Flat, event_time: str) -> str:
        """The exact form body, ASCII; ``event_time`` is local time, ``YYYY-MM-DD HH:MM:SS``."""
        return self._body(self._account(flat), self._told(flat), event_time)

    def _body(self, account: Account, told: Flat, event_time: str) -> str:
        key, fields = self._settings.encryption_key, self.fields(told)
        gateway = account.key.reveal()
        if key is None:
            return plain(gateway, fields, event_time)
        return encoded(gateway, fields, event_time, key.reveal(), self._settings.value_escaping)

    def fields(self, flat: Flat) -> dict[str, str]:
        """The call in the page's parameters, in the order of its sample; what the PBX did not say is blank.

        A notice in its own words, as the vendor's collector forwards it.
        """
        if flat.is_notice():
            return {"Event": flat.event, **texts(flat.extra)}
        direction = flat.direction if flat.direction in (Direction.INBOUND, Direction.OUTBOUND) else ""
        return {
            "Event": CALL,
            "Source": e164(flat.src, self._country),
            "Destination": e164(flat.dst, self._country),
            "DestinationContext": flat.dcontext,
            "CallerID": flat.clid,
            "Channel": flat.channel,
            "DestinationChannel": flat.dstchannel,
            "LastApplication": flat.lastapp,
            "LastData": flat.lastdata,
            "StartTime": shown(flat.start, flat.start_offset, self._zone),
            "AnswerTime": "" if flat.answer is None else shown(flat.answer, flat.answer_offset, self._zone),
            "EndTime": shown(flat.end, flat.end_offset, self._zone),
            "Duration": str(flat.duration),
            "BillableSeconds": str(flat.billsec),
            "Disposition": flat.disposition,
            "UniqueID": flat.uniqueid or _made_uniqueid(flat),
            "UserField": flat.userfield or direction,
        }

    def _told(self, flat: Flat) -> Flat:
        return self._hide(flat) if self._hide else flat

    def _account(self, flat: Flat) -> Account:
        """Whose the call is. Raises Unsendable where it is nobody's; ValueError where it is damaged."""
        keys = self._settings.keys
        return keys.account(flat, self._country) if keys else self._only_account

    def _request(self, flat: Flat, now: str) -> tuple[bytes, Mapping[str, str]]:
        """The body and its headers; ``now`` is the event time of a call."""
        try:
            told = self._told(flat)
            body = self._body(self._account(flat), told, self._event_time(flat, now)).encode("ascii")
        except (ValueError, TypeError, OverflowError) as error:
            raise Unsendable(f"can't be said in Humbug's parameters: {error}") from error
        # Humbug knows no such header; a receiver that does can tell a repeat from two calls that look alike.
        return body, {"Idempotency-Key": told.identity.hex()}

    def _judge(self, response: Response) -> Answer:
        answer = judge(response.status, self._poster.said(response), response.retry_after, self._poster.place)
        self._judge_text(response.text, answer, response.whole)
        return answer

    def _judge_text(self, text: str, answer: Answer, whole: bool) -> None:
        reject, accept = self._settings.reject_pattern, self._settings.accept_pattern
        if reject and reject.search(text):
            raise Refused(f"{self._poster.place}: the answer matches reject_pattern", answer)
        if reject and not whole:
            raise Later(f"{self._poster.place}: the answer broke off, reject_pattern can't judge it", answer)
        if accept and not accept.search(text):
            raise Later(f"{self._poster.place}: the answer does not match accept_pattern", answer)

    def _event_time(self, flat: Flat, now: str) -> str:
        """Of a call, now, as the page has it; a notice says its own time nowhere else."""
        return shown(flat.start, None, self._zone) if flat.is_notice() else now

    def _now(self) -> str:
        return shown(time.time(), None, self._zone)

    def _mode(self) -> str:
        keys = self._settings.keys
        how = "encoded" if self._settings.encryption_key else "plain"
        return f"calls go {how}" + (f", by {count(len(keys), 'key')} of {keys.file}" if keys else "")


def _secrets(settings: HumbugSettings) -> list[Secret]:
    own = [one for one in (settings.api_key, settings.encryption_key) if one and one.reveal()]
    return [*own, *(settings.keys.secrets() if settings.keys else ())]


def plain(gateway: str, fields: Mapping[str, str], event_time: str) -> str:
    """The body with encoded=0: the sample's parameters in its order, form-encoded (UTF-8)."""
    return _form({"gateway": gateway, "encoded": "0", **fields, "event_time": event_time})


def encoded(gateway: str, fields: Mapping[str, str], event_time: str, key: str, escaping: str) -> str:
    """The body with encoded=1: the inner text XORed with the repeating key, as two lower-case hex digits a byte."""
    data = _xor(inner(gateway, fields, escaping), key.encode("utf-8", "replace")).hex()
    # Of the digits, which are most of it, none is to be quoted; and no value has an & once it is.
    form = _form({"gateway": gateway, "encoded": "1", "data": "", "event_time": event_time})
    return form.replace("&data=&", f"&data={data}&", 1)


def inner(gateway: str, fields: Mapping[str, str], escaping: str) -> bytes:
    """What is XORed: ``name=value&`` for each parameter, in UTF-8.

    With ``escaping`` "reserved" the characters that would break this apart are percent-encoded; with "none" the
    values stand as they are, like the vendor's sample.
    """
    return _pairs({"gateway": gateway, "encoded": "1", **fields}, _ESCAPED[escaping])


def _form(parameters: Mapping[str, str]) -> str:
    return _pairs(parameters, _AS_FORM)[:-1].decode("ascii")


class _Quoting:
    """Percent-encodes bytes: the ``frequent`` ones one by one, which is cheap, then whatever ``rare`` matches."""

    def __init__(self, frequent: bytes, rare: bytes) -> None:
        self._frequent = [(bytes([byte]), _QUOTED[bytes([byte])]) for byte in frequent]
        self._rare = re.compile(rare)
        self._fine = bytes(byte for byte in range(256) if not self._rare.match(bytes([byte])))

    def __call__(self, text: bytes) -> bytes:
        for byte, quoted in self._frequent:
            text = text.replace(byte, quoted)
        if text.translate(None, self._fine):
            text = self._rare.sub(lambda found: _QUOTED[found[0]], text)
        return text


# The two that come of quoting come first.
_AS_FORM = _Quoting(b'%+ :/,"<>@', rb"[^A-Za-z0-9_.~%+\xff-]")
_ESCAPED = {"reserved": _Quoting(b"", rb"[%&+=\x00-\x1f\x7f]"), "none": _Quoting(b"", rb"(?!)")}


def _pairs(parameters: Mapping[str, str], quoting: _Quoting) -> bytes:
    """``name=value&`` for each, in UTF-8, with all values quoted in one go."""
    values = _BETWEEN.join(parameters.values()).encode("utf-8", "surrogateescape")
    return _template(tuple(parameters)) % tuple(quoting(values).split(_BAR))


@lru_cache(maxsize=64)
def _template(names: Iterable[str]) -> bytes:
    return "".join(f"{name.replace('%', '%%')}=%b&" for name in names).encode()


def _xor(text: bytes, key: bytes) -> bytes:
    # As one large number each: thirty times faster than byte by byte.
    mask = (key * (len(text) // len(key) + 1))[: len(text)]
    return (int.from_bytes(text, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(text), "big")


def _made_uniqueid(flat: Flat) -> str:
    """For a PBX that gives none: looks like Asterisk's, and is the same on every retry and every re-read."""
    return f"{int(flat.start)}.{int.from_bytes(flat.identity[:6], 'big')}"
