"""Requests side by side over kept connections, all from one thread: the way that nearly all that is sent goes.

A connection's first request goes through `HttpClient`, in a thread beside: that opens it, with TLS, proxy and
certificates, and shows what head a request has. From then on this loop writes the requests and reads the answers, as
long as they are usual ones. What is not goes on in the thread beside, from where the loop has come to, as if the loop
had never been.
"""

import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import NamedTuple

import requests

from humbug_agent.host import threads
from humbug_agent.http_client import usual
from humbug_agent.http_client.client import HttpClient, NoAnswer, Response, as_meant, without_secrets
from humbug_agent.http_client.failures import words
from humbug_agent.http_client.wire import NOTHING_YET, Begun, Connection, begin

log = logging.getLogger(__name__)

SLOW_SECONDS = 0.25
"""An answer that takes longer is waited for in the thread beside, which is told when its time is over."""

CLOSE_SECONDS = 1.0
"""How long what was cut may take to end."""

READ_BYTES = 16 * 1024


class Question(NamedTuple):
    """A request. ``headers`` are those that differ from one to the other, of the same names each time.

    ``numbers`` are of what is asked with it, for who asks.
    """

    numbers: tuple[int, ...]
    body: bytes
    headers: Mapping[str, str]


class Line:
    """What has one request at a time under way: over ``sock``, or where there is none in the thread beside."""

    def __init__(self, client: HttpClient) -> None:
        self.lane = client.lane()
        self.jobs: SimpleQueue[tuple[Question, Begun | None] | None] = SimpleQueue()
        self.connection: Connection | None = None
        self.sock: socket.socket | None = None
        self.opening = b""
        """What the heads of all requests have in common."""
        self.question: Question | None = None
        self.since = 0.0
        self.data = b""
        """What was read of the answer."""

    def opened(self, connection: Connection, names: Mapping[str, str]) -> socket.socket:
        """The connection is for the loop to use; ``names`` are of the headers that differ."""
        self.connection, self.sock = connection, connection.sock
        self.lane.watch.uses(self.sock)
        self.sock.setblocking(False)
        own = {b"content-length", *(name.lower().encode() for name in names)}
        lines = (line for line in connection.head.split(b"\r\n") if line)
        self.opening = b"".join([line + b"\r\n" for line in lines if line.partition(b":")[0].lower() not in own])
        return self.sock


class Came(NamedTuple):
    """What came of a request, or of none.

    ``doubted``: of how many requests before it on its line it is doubtful by now whose the answer was. That can be told
    by itself, too. ``line`` is None where there was none by which it could have been sent.
    """

    line: Line | None
    question: Question | None
    outcome: Response | NoAnswer | None
    doubted: int = 0


class Loop:
    """For one thread; `wake` any may call. Requests are as ``prepared`` by ``client``, but for what a Question has."""

    def __init__(self, client: HttpClient, prepared: requests.PreparedRequest, limit: int, name: str) -> None:
        self._client = client
        self._prepared = prepared
        self._limit = limit
        self._name = name
        self._lines: list[Line] = []
        self._idle: list[Line] = []
        self._open: dict[int, Line] = {}
        self._threads: list[threading.Thread] = []
        self._done: SimpleQueue[tuple[Came, Connection | None]] = SimpleQueue()
        self._came: list[Came] = []
        self._awake = self._closed = False
        self._look = 0.0
        self._lock = threading.Lock()
        self._poll = select.epoll()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._poll.register(self._woken, select.EPOLLIN)

    def ask(self, questions: Sequence[Question]) -> None:
        """Send them, each over a line of its own; `collect` has what comes.

        A line is free once its answer was collected: by then it is written down what came of its request.
        Where one can't be sent, `collect` has that, too: the others are under way by then.
        """
        # Nothing may have come over an idle connection, not even its end.
        self._attend(0)
        since = self._client.common.now()
        for question in questions:
            try:
                line = self._idle.pop() if self._idle else self._hire()
            except Exception as error:  # noqa: BLE001 # told where what comes is collected
                where = without_secrets(self._prepared.url or "")
                self._came.append(Came(None, question, NoAnswer(f"{where}: {words(error)}")))
                continue
            line.question, line.since = question, since
            if line.sock and not self._client.common.apart:
                self._write(line, line.sock, question)
            else:
                self._go_beside(line, question)

    def collect(self, wait: float) -> list[Came]:
        """What came by now; if nothing has, what comes within ``wait`` seconds, or until it is woken."""
        until = time.monotonic() + wait
        while not self._closed:
            left = 0.0 if self._came or self._awake else max(until - time.monotonic(), 0.0)
            self._attend(min(left, SLOW_SECONDS) if self._under_way() else left)
            if self._came or self._awake or left <= 0:
                break
        came, self._came, self._awake = self._came, [], False
        for line in (one.line for one in came if one.question and one.line):
            # Those that have a connection come first, the last of all the one that was used last.
            self._idle.insert(len(self._idle) if line.sock else 0, line)
        return came

    def wake(self) -> None:
        # Whoever is not awake by as much as there is room for will be soon.
        with self._lock, suppress(BlockingIOError):
            if not self._closed:
                self._waker.send(b"\0")

    def close(self) -> None:
        """To be called once the client is closed, by which all that is under way ends: `collect` has how."""
        if self._closed:
            return
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._under_way() and (left := deadline - time.monotonic()) > 0:
            self._attend(left)
        for line in self._lines:
            line.jobs.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._take_done()
        with self._lock:
            self._closed = True
            for each in (self._poll, self._woken, self._waker):
                each.close()

    def _under_way(self) -> bool:
        return any(line.question for line in self._lines)

    # At the connections.

    def _attend(self, wait: float) -> None:
        for number, _ in self._poll.poll(wait, len(self._open) + 1):
            line = self._open.get(number)
            if line is None:
                self._woken.recv(4096)
                self._awake = True
                self._take_done()
            elif line.sock and line.question:
                self._read(line, line.sock, line.question)
            elif line.sock:
                self._unasked(line, line.sock)
        if self._under_way() and (now := self._client.common.now()) >= self._look:
            self._look = now + SLOW_SECONDS
            for line in self._lines:
                if line.sock and line.question and now - line.since > SLOW_SECONDS:
                    self._go_beside(line, line.question, self._begun(line))

    def _write(self, line: Line, sock: socket.socket, question: Question) -> None:
        own = "".join([f"{name}: {value}\r\n" for name, value in question.headers.items()]).encode()
        request = b"%b%bContent-Length: %d\r\n\r\n%b" % (line.opening, own, len(question.body), question.body)
        if line.connection:
            line.connection.asked += 1
        try:
            sent = sock.send(request)
        except OSError:
            # Whatever it is happens again in the thread.
            sent = 0
        if sent < len(request):
            self._go_beside(line, question, self._begun(line, unsent=request[sent:]))

    def _read(self, line: Line, sock: socket.socket, question: Question) -> None:
        try:
            data = sock.recv(READ_BYTES)
            # What TLS has read ahead is in no poll.
            while isinstance(sock, ssl.SSLSocket) and sock.pending():
                data += sock.recv(READ_BYTES)
        except NOTHING_YET:
            return
        except OSError as error:
            wants = isinstance(error, ssl.SSLWantWriteError)
            self._go_beside(line, question, self._begun(line, failed=None if wants else error))
            return
        line.data = line.data + data if line.data else data
        try:
            if not data or len(line.data) > self._limit:
                raise usual.Unusual
            found = usual.read(line.data)
        except usual.Unusual:
            self._go_beside(line, question, self._begun(line))
            return
        if found is None:
            return
        outcome: Response | NoAnswer
        try:
            outcome = as_meant(self._prepared.url or "", Response(*found))
        except NoAnswer as error:
            outcome = error
        line.question, line.data = None, b""
        self._came.append(Came(line, question, outcome))

    def _unasked(self, line: Line, sock: socket.socket) -> None:
        """Something came that nobody has asked for: whatever it is, the connection is at its end."""
        try:
            behind = sock.recv(READ_BYTES)
        except NOTHING_YET:
            return
        except OSError:
            behind = b""
        begin(line.lane.watch)
        if connection := self._give_back(line):
            connection.close()
            if doubted := connection.doubt(behind):
                self._came.append(Came(line, None, None, doubted))

    # With the thread beside.

    def _hire(self) -> Line:
        line = Line(self._client)
        name = f"{self._name}-{len(self._lines)}"
        thread = threading.Thread(target=self._work, args=(line,), name=name, daemon=True)
        threads.start(thread)
        self._lines.append(line)
        self._threads.append(thread)
        return line

    def _begun(self, line: Line, *, unsent: bytes = b"", failed: OSError | None = None) -> Begun:
        return Begun(line.since + self._client.timeout, unsent, line.data, failed)

    def _go_beside(self, line: Line, question: Question, begun: Begun | None = None) -> None:
        """Have the thread ask it, or go on with what was ``begun``."""
        self._give_back(line)
        line.jobs.put((question, begun))

    def _give_back(self, line: Line) -> Connection | None:
        """The connection, that is the loop's no more."""
        connection, line.connection = line.connection, None
        if line.sock:
            self._poll.unregister(line.sock)
            del self._open[line.sock.fileno()]
            line.sock = None
        return connection

    def _work(self, line: Line) -> None:
        watch = line.lane.watch
        while job := line.jobs.get():
            question, begun = job
            outcome: Response | NoAnswer
            try:
                outcome = self._client.send(
                    self._prepared, question.body, question.headers, self._limit, lane=line.lane, begun=begun
                )
            except NoAnswer as error:
                outcome = error
            except Exception as error:
                log.exception("%s: a request failed in a way that was not foreseen", self._name)
                outcome = NoAnswer(f"{type(error).__name__}: {error}")
            doubted, watch.doubted = watch.doubted, 0
            kept = line.lane.kept()
            self._done.put((Came(line, question, outcome, doubted), kept))
            if watch.doubted:
                self._done.put((Came(line, None, None, watch.doubted), None))
            self.wake()
        line.lane.adapter.close()

    def _take_done(self) -> None:
        while not self._done.empty():
            came, kept = self._done.get()
            self._came.append(came)
            if not (came.question and came.line):
                continue
            line = came.line
            line.question, line.data = None, b""
            if kept and not self._client.common.closed.is_set():
                sock = line.opened(kept, came.question.headers)
                self._open[sock.fileno()] = line
                self._poll.register(sock, select.EPOLLIN)
