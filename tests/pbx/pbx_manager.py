"""An AMI session, as plain as can be: what drives the calls, and what the tests listen with."""

import socket
import ssl
from types import TracebackType
from typing import Self

Message = dict[str, str]


class Manager:
    """Bytes that are no UTF-8 come as surrogates; of a repeated header, the first counts."""

    def __init__(
        self,
        port: int,
        user: str = "lab",
        secret: str = "lab-secret",
        *,
        events: bool = False,
        timeout: float = 30,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        if tls:
            self._socket = tls.wrap_socket(self._socket, server_hostname="127.0.0.1")
        self._stream = self._socket.makefile("rb")
        try:
            self.banner = self._stream.readline().decode().strip()
            self.login = self.action("Login", Username=user, Secret=secret, Events="on" if events else "off")
        except BaseException:
            self.close()
            raise

    def send(self, action: str, **headers: str | bytes) -> None:
        lines = [b"Action: " + action.encode()]
        for name, value in headers.items():
            lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()))
        self._socket.sendall(b"\r\n".join(lines) + b"\r\n\r\n")

    def message(self) -> Message:
        """The next one, of any kind."""
        found: Message = {}
        for name, value in self._headers():
            found.setdefault(name, value.strip())
        return found

    def lines(self, action: str, **headers: str | bytes) -> list[tuple[str, str]]:
        """All headers of the response to it, in their order."""
        self.send(action, **headers)
        while "Response" not in dict(found := self._headers()):
            pass
        return found

    def _headers(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        while line := self._stream.readline():
            if line != b"\r\n":
                name, _, value = line.rstrip(b"\r\n").decode(errors="surrogateescape").partition(":")
                found.append((name, value.removeprefix(" ")))
            elif found:
                return found
        raise ConnectionError("the AMI connection has ended")

    def action(self, action: str, **headers: str | bytes) -> Message:
        """The response to it. What comes before that is passed over."""
        self.send(action, **headers)
        while "Response" not in (found := self.message()):
            pass
        return found

    def event(self, name: str) -> Message:
        while (found := self.message()).get("Event") != name:
            pass
        return found

    def ignore(self) -> None:
        """Read whatever comes, until `hang_up`."""
        while self._stream.read1():
            pass

    def channels(self) -> int:
        return int(self.action("Command", Command="core show channels count")["Output"].split()[0])

    def hang_up(self) -> None:
        """From another thread: ends what waits for a message."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
