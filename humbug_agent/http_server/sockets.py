"""What the web server needs before it can start: listening sockets, and TLS."""

import errno
import os
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from pathlib import Path
from typing import Protocol

from humbug_agent.host.daemon_user import name_of
from humbug_agent.ini import contents
from humbug_agent.words import said

BACKLOG = 2048
"""Who may wait to be accepted."""

UNREAD_BYTES = 32 * 1024
"""What the kernel keeps of what a client sends: few have more to say than the head of a request."""

ADVICE = {
    errno.EADDRINUSE: "another program has that port (ss -ltnp shows which); end it, or set another port with listen",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE; set a higher one with listen",
    errno.EADDRNOTAVAIL: "this host has no such address; set one of its own with listen, or 0.0.0.0 for all",
}

ABSENT = errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT
"""One of a name's addresses, such as localhost's ::1 where IPv6 is off."""


class Listen(Protocol):
    """Where to listen, and as what log lines name it. ``certificate`` and ``private_key`` are PEM files, or absent."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def certificate(self) -> Path | None: ...
    @property
    def private_key(self) -> Path | None: ...
    @property
    def where(self) -> str: ...
    @property
    def label(self) -> str: ...


class WebError(Exception):
    """Why the web server can't start, and what to do about it."""


def listeners(settings: Listen) -> list[socket.socket]:
    """A listening socket for each address that the host name has here. Raises WebError."""
    found: list[socket.socket] = []
    failed: OSError | None = None
    try:
        for family, *_, address in socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM):
            try:
                found.append(_listener(family, str(address[0]), settings.port))
            except OSError as error:
                failed = error
                if error.errno not in ABSENT:
                    raise
        if failed and not found:
            raise failed
    except OSError as error:
        for listener in found:
            listener.close()
        advice = ADVICE.get(error.errno or 0, "set another address with listen")
        # socket.create_server adds the address in brackets.
        reason = said(error).partition(" (")[0]
        raise WebError(f"can't listen on {settings.where}: {reason}; {advice}") from error
    return found


def _listener(family: int, host: str, port: int) -> socket.socket:
    # [::] is every address, as it is in other programs' settings.
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    # asyncio sets it only on sockets that name their protocol, which these do not: 40 ms an answer without.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD_BYTES)
    listener.setblocking(False)
    return listener


def tls_context(settings: Listen) -> ssl.SSLContext | None:
    """None where no certificate is set. Raises WebError, which names the file that is at fault."""
    if not settings.certificate:
        return None
    key_file = settings.private_key or settings.certificate
    certificate, key = (_read(name, file) for name, file in (("certificate", settings.certificate), ("key", key_file)))
    if b"CERTIFICATE-----" not in certificate:
        raise WebError(f"certificate {settings.certificate} has no certificate in PEM format")
    if b"PRIVATE KEY-----" not in key:
        raise WebError(f"{key_file} has no private key in PEM format; set private_key to the file that has it")
    if b"ENCRYPTED" in key:
        raise WebError(f"the private key in {key_file} needs a passphrase; store it without one (openssl pkey)")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.certificate, key_file, password="")  # nosec B106 # so that none is asked for
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        if error.reason == "KEY_VALUES_MISMATCH":
            reason = "the key is another certificate's"
        raise WebError(f"can't use certificate {settings.certificate} with the key in {key_file}: {reason}") from error
    context.set_alpn_protocols(["http/1.1"])
    # asyncio has a buffer of 256 KiB for each TLS connection, and fills it with zeros: 500 strangers would cost 125 MB.
    SSLProtocol.max_size = UNREAD_BYTES
    return context


def _read(name: str, file: Path) -> bytes:
    try:
        return contents(file)
    except OSError as error:
        user = f" (as user {name_of(os.geteuid())})" if error.errno == errno.EACCES else ""
        raise WebError(f"can't read {name} {file}: {error.strerror}{user}") from error
