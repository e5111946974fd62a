"""What comes of a request, made plain: what was raised in an admin's words, what headers say in seconds."""

import ssl
import time
from email.utils import parsedate_to_datetime
from http.client import BadStatusLine, RemoteDisconnected

import requests

from humbug_agent.backoff import LONGEST_RETRY_AFTER

NOT_HTTP = "what it answered is not HTTP"


def cause(error: BaseException) -> BaseException:
    """The innermost of the exceptions that requests and urllib3 wrap around each other."""
    inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
    return cause(inner) if isinstance(inner, BaseException) else error.__cause__ or error


def words(error: BaseException) -> str:
    inner = cause(error)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message
    if isinstance(inner, BadStatusLine) and not isinstance(inner, RemoteDisconnected):
        return NOT_HTTP
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return _line(str(inner)) or type(inner).__name__


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


def retry_after(response: requests.Response) -> float | None:
    said = response.headers.get("Retry-After", "").strip()
    if not said:
        return None
    if said.isascii() and said.isdigit():
        return min(float(said[:9]), LONGEST_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(said).timestamp()
    except (ValueError, OverflowError):
        return None
    # By the clock of whoever says it, where that is told: ours may be wrong.
    return min(max(until - (date(response) or time.time()), 0.0), LONGEST_RETRY_AFTER)


def date(response: requests.Response) -> float | None:
    try:
        return parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except (ValueError, OverflowError):
        return None
