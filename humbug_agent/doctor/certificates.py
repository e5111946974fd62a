"""How long certificates are valid still, those in a file and those that a server shows.

Source of the format: RFC 5280, 4.1; of its DER no more is read than the way to the two times.
"""

import re
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

LAST_DAYS = 14
"""Let's Encrypt's are renewed 30 days before their end: by now somebody should have seen that this one was not."""

SHARE = 4
"""Of those that are made for days only it is the last quarter."""

TIMEOUT_SECONDS = 10.0

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _UTC_TIME = 0xA0, 0x17


def of_file(path: Path) -> str:
    """When the certificate in a PEM file ends; blank where that is not soon. Raises OSError, ValueError."""
    found = _PEM.search(path.read_bytes())
    if not found:
        raise ValueError("it has no certificate in PEM format")
    return _soon(ssl.PEM_cert_to_DER_cert(found[0].decode("ascii")))


def of_server(host: str, port: int) -> str:
    """The same of the certificate that a server shows. Raises OSError, ValueError."""
    context = ssl.create_default_context()
    # Whether it is to be trusted is tried elsewhere; one that has ended is looked at here.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, port), TIMEOUT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host) as tls,
    ):
        return _soon(tls.getpeercert(binary_form=True) or b"")


def _soon(der: bytes) -> str:
    begins, ends = _validity(der)
    left = ends - time.time()
    if left > min(LAST_DAYS * 86400, (ends - begins) / SHARE):
        return ""
    when = datetime.fromtimestamp(ends, UTC).isoformat(" ", "minutes")
    return f"{'ended' if left <= 0 else 'ends'} at {when}"


def _validity(der: bytes) -> tuple[float, float]:
    """From when to when, in seconds since the epoch. Raises ValueError."""
    try:
        (_, certificate), *_ = _parts(der)
        (_, signed), *_ = _parts(certificate)
        fields = [part for part in _parts(signed) if part[0] != _VERSION]
        # Behind the serial number, the algorithm and the issuer.
        begins, ends = _parts(fields[3][1])
        return _moment(*begins), _moment(*ends)
    except (IndexError, ValueError) as error:
        raise ValueError("its certificate can't be understood") from error


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element, one after the other."""
    at = 0
    while at < len(der):
        tag, size, at = der[at], der[at + 1], at + 2
        if size & 0x80:
            more = size & 0x7F
            size, at = int.from_bytes(der[at : at + more], "big"), at + more
        yield tag, der[at : at + size]
        at += size


def _moment(tag: int, content: bytes) -> float:
    said = content.decode("ascii")
    if tag == _UTC_TIME:
        # RFC 5280: of the years that have two digits, those from 50 on are the last century's.
        said = f"{'19' if int(said[:2]) >= 50 else '20'}{said}"
    return datetime.strptime(said, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
