"""A server that says back whatever it is told, secrets included, in the words of whatever it is taken for."""

import base64
import html
import json
import re
import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import quote, quote_plus

AMI = b"Asterisk Call Manager/5.0.2\r\n"
ESL = b"Content-Type: auth/request\n\n"
HTTP = b""


class Parrot:
    """``begins`` is what it says before it is told anything: AMI, ESL, or HTTP, where it is nothing."""

    def __init__(self, begins: bytes) -> None:
        self._begins = begins
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._start(threading.Thread(target=self._serve))
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _start(self, thread: threading.Thread) -> None:
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self._start(threading.Thread(target=self._talk, args=(connection,)))

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(self._begins)
            while said := connection.recv(65536):
                self.heard.append(said)
                connection.sendall(self._answer(said))
                if self._begins == HTTP:
                    # So that the rest of the request, should it come apart, is heard before the connection ends.
                    connection.shutdown(socket.SHUT_WR)

    def _answer(self, said: bytes) -> bytes:
        if self._begins == AMI:
            action = re.search(rb"ActionID: [^\r]*", said)
            back = b" ".join(said.split())
            return b"Response: Error\r\n%b\r\nMessage: %b\r\n\r\n" % (action[0] if action else b"X: y", back)
        if self._begins == ESL:
            return b"Content-Type: command/reply\nReply-Text: -ERR invalid: %b\n\n" % b" ".join(said.split())
        text = said.decode("latin-1")
        forms = (text, json.dumps(text), html.escape(text), quote(text), quote_plus(text))
        body = "\n".join((*forms, *map(_unpacked, re.findall(r"Basic (\S+)", text)))).encode()
        head = f"HTTP/1.1 400 {text.split()[0]}\r\nContent-Length: {len(body)}\r\n"
        return head.encode("latin-1", "replace") + b"Connection: close\r\n\r\n" + body


def _unpacked(encoded: str) -> str:
    return base64.b64decode(encoded).decode("latin-1")
