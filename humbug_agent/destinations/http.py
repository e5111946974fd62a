"""One POST at a time and thread over kept connections, and nothing that requests would do on its own account.

No netrc, no proxy from the environment, no redirect followed (a POST that becomes a GET answers 200 and loses the
call), no retry (it would repeat a POST that was read), no answer of 200 MB in memory, no answer that takes for ever.
"""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import BadStatusLine, RemoteDisconnected
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationParseError

from humbug_agent.destinations.contract import Answer, Later, Misconfigured, Refused

READ_LIMIT = 64 * 1024
"""Bytes of an answer that are looked at."""

KEPT = 500
"""Bytes of an answer that are kept."""

LONGEST_RETRY_AFTER = 3600.0
"""Seconds. A receiver that asks for more is asked again then."""

REFUSED = (400, 413, 422)
LATER = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    text: str
    retry_after: float | None
    whole: bool = True
    """False: the text broke off before its end."""

    def answer(self) -> Answer:
        return Answer(self.status, self.text[:KEPT])


class _Watch:
    """The connection that a thread's request uses, and until when (time.monotonic) it may."""

    def __init__(self) -> None:
        self.until: float | None = None
        self.sock: socket | None = None
        self.cut = False

    def end(self) -> None:
        self.cut = True
        # Taken once: the request's own thread may end meanwhile and set it to None.
        sock = self.sock
        if sock is not None:
            try:
                # Not the method of an SSLSocket, which would take the TLS state from under the reading thread.
                socket.shutdown(sock, SHUT_RDWR)
            except OSError:
                self.sock = None


_watched = threading.local()


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _watched.now.sock = self.sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        _watched.now.sock = self.sock
        super().request(*args, **kwargs)


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager


class Poster:
    """POSTs form bodies to ``url``. ``timeout`` (seconds) is for a request as a whole."""

    def __init__(
        self, url: str, *, timeout: float, user_agent: str, ca_file: Path | None = None, proxy: str | None = None
    ) -> None:
        self.url = url
        self.place = place(url)
        self._timeout = timeout
        self._verify: bool | str = str(ca_file) if ca_file else True
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        common = {"User-Agent": user_agent, "Accept-Encoding": "identity", "Accept": "*/*"}
        # Prepared once: it costs as much as sending.
        self._requests = {method: requests.Request(method, url, common).prepare() for method in ("GET", "POST")}
        self._mine = threading.local()
        self._watches: list[_Watch] = []
        self._closed = threading.Event()
        self._watchman: threading.Thread | None = None
        self._starting = threading.Lock()

    def post(self, body: bytes, headers: dict[str, str]) -> Response:
        """Send one form. Raises Later or Misconfigured when no answer came."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._request("POST", body, form | headers)

    def get(self) -> Response:
        return self._request("GET", None, {})

    def close(self) -> None:
        self._closed.set()
        for watch in self._watches:
            watch.end()

    def _request(self, method: str, body: bytes | None, headers: dict[str, str]) -> Response:
        with self._watch() as watch:
            try:
                request = self._requests[method].copy()
                request.headers.update(headers)
                if body is not None:
                    request.body = body
                    request.headers["Content-Length"] = str(len(body))
                response = self._adapter().send(
                    request, stream=True, timeout=self._timeout, verify=self._verify, proxies=self._proxies
                )
                with response:
                    if watch.cut:
                        raise Later(f"{self.place}: no answer within {self._timeout:g} s")
                    text, whole = _beginning(response)
                    return Response(response.status_code, text, _retry_after(response), whole)
            except requests.exceptions.SSLError as error:
                if isinstance(_cause(error), ssl.SSLEOFError | ssl.SSLZeroReturnError):
                    raise Later(f"{self.place}: closed the connection while TLS began") from error
                raise Misconfigured(f"{self.place}: TLS: {_words(error)}; check the certificate, or ca_file") from error
            except requests.exceptions.ProxyError as error:
                words = _words(error)
                if "Tunnel connection failed: 4" in words:
                    raise Misconfigured(f"{self.place}: proxy: {words}; check proxy") from error
                raise Later(f"{self.place}: proxy: {words}") from error
            except requests.exceptions.Timeout as error:
                raise Later(f"{self.place}: no answer within {self._timeout:g} s") from error
            except requests.exceptions.ConnectionError as error:
                words = f"no answer within {self._timeout:g} s" if watch.cut else _words(error)
                raise Later(f"{self.place}: {words}") from error
            except (LocationParseError, OSError) as error:
                # A name that can't be one, a ca_file that is gone: RequestException is an OSError too.
                raise Misconfigured(f"{self.place}: {_words(error)}; check url, proxy and ca_file") from error

    def _adapter(self) -> _Adapter:
        """This thread's connection. A Session on top of it would only add redirects, cookies and the environment."""
        adapter: _Adapter | None = getattr(self._mine, "adapter", None)
        if adapter is None:
            adapter = self._mine.adapter = _Adapter(max_retries=0)
        return adapter

    @contextmanager
    def _watch(self) -> Iterator[_Watch]:
        watch: _Watch | None = getattr(self._mine, "watch", None)
        if watch is None:
            watch = self._mine.watch = _Watch()
            with self._starting:
                self._watches.append(watch)
                if self._watchman is None:
                    self._watchman = threading.Thread(target=self._keep_time, name="deadlines", daemon=True)
                    self._watchman.start()
        _watched.now = watch
        watch.cut, watch.until = self._closed.is_set(), time.monotonic() + self._timeout
        try:
            yield watch
        finally:
            watch.until = watch.sock = None

    def _keep_time(self) -> None:
        while not self._closed.wait(0.5):
            now = time.monotonic()
            for watch in self._watches:
                if watch.until is not None and now > watch.until:
                    watch.end()


def judge(response: Response, where: str) -> None:
    """Nothing for 2xx; for the rest the DeliveryError that the status stands for."""
    status, answer = response.status, response.answer()
    if 200 <= status <= 299:
        return
    said = f"{where}: answered {status}"
    if status in REFUSED:
        raise Refused(f"{said} ({_line(answer.text)})", answer)
    if status in LATER or status >= 500:
        raise Later(said, answer, response.retry_after)
    hints = {
        401: "; check api_key and encryption_key",
        403: "; check api_key and encryption_key",
        404: "; check url",
        407: "; check proxy",
    }
    hint = "; redirects are not followed, check url" if 300 <= status <= 399 else hints.get(status, "; check url")
    raise Misconfigured(said + hint, answer)


def place(url: str) -> str:
    """The URL without what may be secret in it: user, password, query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _beginning(response: requests.Response) -> tuple[str, bool]:
    """Up to READ_LIMIT bytes; of a longer answer, the connection is given up with the rest."""
    pieces: list[bytes] = []
    size = 0
    try:
        while size < READ_LIMIT and (piece := response.raw.read1(8192, decode_content=True)):
            pieces.append(piece)
            size += len(piece)
    except (HTTPError, OSError):
        # The status has come; whether the rest of the text has is not what decides.
        pieces.append(b" [breaks off]")
        return b"".join(pieces)[:READ_LIMIT].decode("utf-8", "replace"), False
    return b"".join(pieces)[:READ_LIMIT].decode("utf-8", "replace"), True


def _retry_after(response: requests.Response) -> float | None:
    said = response.headers.get("Retry-After", "").strip()
    if not said:
        return None
    if said.isascii() and said.isdigit():
        return min(float(said[:9]), LONGEST_RETRY_AFTER)
    try:
        seconds = parsedate_to_datetime(said).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _cause(error: BaseException) -> BaseException:
    """The innermost of the exceptions that requests and urllib3 wrap around each other."""
    inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
    return _cause(inner) if isinstance(inner, BaseException) else error.__cause__ or error


def _words(error: BaseException) -> str:
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    if isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected):
        return "what it answered is not HTTP"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return _line(str(cause)) or type(cause).__name__


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
