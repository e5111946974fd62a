"""Requests over kept connections, and nothing that requests would do on its own account.

No netrc, no proxy from the environment, no redirect followed (a POST that becomes a GET answers 200 and loses the
call), no retry (it would repeat a POST that was read), no answer of 200 MB in memory, no answer that takes for ever.
"""

import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import BadStatusLine
from pathlib import Path
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, LocationParseError

from humbug_agent.host import threads
from humbug_agent.http_client import scheme
from humbug_agent.http_client.failures import NOT_HTTP, cause, date, retry_after, words
from humbug_agent.http_client.wire import Begun, Common, Lane, Watch, begin

LOOK_SECONDS = 0.5
"""How often somebody looks whose time is over."""


ClientCert = tuple[Path, Path]
"""PEM files: a certificate by which this client is known, and its key, which may be the same file."""


class NoAnswer(Exception):
    """No HTTP answer came.

    ``lasting``: none will, before the settings are changed or the server's certificate is. ``slow``: none within the
    time that it had. ``odd``: something else may be spoken there.
    """

    def __init__(self, reason: str, *, lasting: bool = False, slow: bool = False, odd: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting
        self.slow = slow
        self.odd = odd


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered to one request.

    ``body`` is its beginning, and ``whole`` False where it broke off before its end: ``slow``, for want of time.

    ``retry_after`` is how many seconds the server asks to be spared, ``date`` its clock, seconds since the epoch.
    """

    status: int
    body: bytes
    whole: bool = True
    slow: bool = False
    retry_after: float | None = None
    date: float | None = None

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class HttpClient:
    """A client that sends requests over connections that it keeps. Any thread may use it.

    A thread's requests have a lane of their own, where none is given. ``timeout`` (seconds) is for a request as a
    whole; ``proxy`` is a URL; ``headers`` go with each.
    """

    def __init__(
        self,
        *,
        timeout: float,
        user_agent: str,
        headers: Mapping[str, str] | None = None,
        ca_file: Path | None = None,
        client_cert: ClientCert | None = None,
        proxy: str | None = None,
    ) -> None:
        self.timeout = timeout
        self._cert = (str(client_cert[0]), str(client_cert[1])) if client_cert else None
        self._verify: bool | str = str(ca_file) if ca_file else True
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "identity", "Accept": "*/*"}
        self._headers |= headers or {}
        self._mine = threading.local()
        self.common = Common()
        self._watches: list[Watch] = []
        self._watchman: threading.Thread | None = None
        self._starting = threading.Lock()
        # What is wrong with the URL's scheme, once that was asked.
        self._wrong: str | None = None

    def prepare(self, method: str, url: str) -> requests.PreparedRequest:
        """What `send` takes. Preparing costs as much as sending: once is enough."""
        return requests.Request(method, url, self._headers).prepare()

    def send(
        self,
        prepared: requests.PreparedRequest,
        body: bytes | None,
        headers: Mapping[str, str],
        limit: int,
        stop: threading.Event | None = None,
        lane: Lane | None = None,
        begun: Begun | None = None,
    ) -> Response:
        """Up to ``limit`` bytes of the answer are read; ``stop`` cuts it. Raises NoAnswer.

        ``begun``: it was sent already, over the connection that ``lane`` keeps.
        """
        url = prepared.url or ""
        try:
            response = self._send(prepared, body, headers, limit, stop, lane or self._own_lane(), begun)
        except NoAnswer as error:
            if error.odd and self._wrong is None and not (self._proxies or self.common.closed.is_set()):
                self._wrong = scheme.said_of(url, silent=error.slow)
            if not (error.odd and self._wrong):
                raise
            raise NoAnswer(f"{without_secrets(url)}: {self._wrong}", lasting=True) from error
        response = as_meant(url, response)
        # Where an answer ever came, nothing is.
        self._wrong = ""
        return response

    def _send(
        self,
        prepared: requests.PreparedRequest,
        body: bytes | None,
        headers: Mapping[str, str],
        limit: int,
        stop: threading.Event | None,
        lane: Lane,
        begun: Begun | None,
    ) -> Response:
        where = without_secrets(prepared.url or "")
        late = f"{where}: no answer within {self.timeout:g} s"
        with self._watch(lane.watch, stop, begun) as watch:
            try:
                request = prepared.copy()
                request.headers.update(headers)
                if body is not None:
                    request.body = body
                    request.headers["Content-Length"] = str(len(body))
                response = lane.adapter.send(
                    request,
                    stream=True,
                    timeout=self.timeout,
                    verify=self._verify,
                    cert=self._cert,
                    proxies=self._proxies,
                )
                with response:
                    if watch.cut:
                        raise NoAnswer(late, slow=True)
                    body, whole = _beginning(response, limit)
                    # An earlier doubt stands where this answer gives none.
                    if whole and not watch.doubted and watch.connection and watch.connection.answered_twice():
                        raise NoAnswer(f"{where}: answered more than once, so that one may be another request's")
                    whole = whole and not (watch.cut and _ends_with_connection(response))
                    slow = not whole and watch.over()
                    return Response(response.status_code, body, whole, slow, retry_after(response), date(response))
            except requests.exceptions.SSLError as error:
                if isinstance(cause(error), ssl.SSLEOFError | ssl.SSLZeroReturnError):
                    raise NoAnswer(f"{where}: closed the connection while TLS began", odd=True) from error
                odd = not isinstance(cause(error), ssl.SSLCertVerificationError)
                # An alert is what the server says: that of certificates is said of this client's.
                theirs = odd and "certificate" in words(error) and "alert" in words(error)
                check = "client_cert, it wants one that it knows" if theirs else "the certificate, or ca_file"
                said = f"{where}: TLS: {words(error)}; check {check}"
                raise NoAnswer(said, lasting=True, odd=odd) from error
            except requests.exceptions.ProxyError as error:
                said = words(error)
                if "Tunnel connection failed: 4" in said:
                    raise NoAnswer(f"{where}: proxy: {said}; check proxy", lasting=True) from error
                raise NoAnswer(f"{where}: proxy: {said}") from error
            except requests.exceptions.Timeout as error:
                odd = not isinstance(error, requests.exceptions.ConnectTimeout)
                raise NoAnswer(late, slow=True, odd=odd) from error
            except requests.exceptions.ConnectionError as error:
                odd = isinstance(cause(error), BadStatusLine | ConnectionResetError)
                over = watch.over()
                raise NoAnswer(late if over else f"{where}: {words(error)}", slow=over, odd=odd) from error
            except requests.exceptions.InvalidHeader as error:
                # Two lengths, and they differ.
                raise NoAnswer(f"{where}: {NOT_HTTP}") from error
            except (LocationParseError, OSError) as error:
                # A name that can't be one, a ca_file that is gone: RequestException is an OSError too.
                raise NoAnswer(
                    f"{where}: {words(error)}; check url, proxy, ca_file and client_cert", lasting=True
                ) from error

    def lane(self) -> Lane:
        """A new one. Whoever made it closes its adapter. Raises NoAnswer where nobody could keep its time."""
        made = Lane(self.common)
        with self._starting:
            if self._watchman is None:
                watchman = threading.Thread(target=self._keep_time, name="deadlines", daemon=True)
                try:
                    threads.start(watchman)
                except OSError as error:
                    raise NoAnswer(words(error)) from error
                self._watchman = watchman
            self._watches.append(made.watch)
        return made

    def close(self) -> None:
        """Ends what is under way in any thread, and keeps no connection of this one."""
        self.common.closed.set()
        for watch in self._watches:
            watch.end()
        if lane := getattr(self._mine, "lane", None):
            lane.adapter.close()

    def _own_lane(self) -> Lane:
        lane: Lane | None = getattr(self._mine, "lane", None)
        if lane is None:
            lane = self._mine.lane = self.lane()
        return lane

    @contextmanager
    def _watch(self, watch: Watch, stop: threading.Event | None, begun: Begun | None) -> Iterator[Watch]:
        begin(watch)
        watch.doubted = 0
        watch.stop, watch.begun = stop, begun
        watch.cut = self.common.closed.is_set()
        watch.until = begun.until if begun else self.common.now() + self.timeout
        try:
            yield watch
        finally:
            watch.until = watch.sock = watch.begun = None

    def _keep_time(self) -> None:
        looked = time.monotonic()
        while not self.common.closed.wait(LOOK_SECONDS):
            before, looked = looked, time.monotonic()
            if (stood := looked - before - LOOK_SECONDS) > LOOK_SECONDS:
                # Stopped, or asleep with the whole machine. What came meanwhile is to be read before anybody judges.
                self.common.stood += stood
                continue
            for watch in self._watches:
                if watch.until is not None and (watch.left() <= 0 or (watch.stop and watch.stop.is_set())):
                    watch.end()


def as_meant(url: str, response: Response) -> Response:
    """The response, unless it says that ``url`` should be another one. Raises NoAnswer."""
    if url.startswith("http:") and scheme.wants_tls(response.status, response.body):
        raise NoAnswer(f"{without_secrets(url)}: {scheme.WRONG_HTTP}", lasting=True)
    return response


def without_secrets(url: str) -> str:
    """The URL without what may be secret in it: user, password, query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _beginning(response: requests.Response, limit: int) -> tuple[bytes, bool]:
    """Of a longer answer, the connection is given up with the rest."""
    pieces: list[bytes] = []
    size = 0
    try:
        while size < limit and (piece := response.raw.read1(8192, decode_content=True)):
            pieces.append(piece)
            size += len(piece)
    except (HTTPError, OSError):
        # The status has come; whether the rest of the text has is not what decides.
        pieces.append(b" [breaks off]")
        return b"".join(pieces)[:limit], False
    return b"".join(pieces)[:limit], True


def _ends_with_connection(response: requests.Response) -> bool:
    """Whether nothing but the connection's end says where the answer ends."""
    return "Content-Length" not in response.headers and not response.raw.chunked
