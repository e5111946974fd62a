"""HTTP without what two programs in a row may read in two ways, by which one request is smuggled within another.

h11 forgives lines that end with a bare LF, and goes by Transfer-Encoding where a Content-Length stands beside it. A
target may be a whole address (RFC 9112, 3.2.2), as it is where a client takes this for its proxy.
"""

import re

import h11
from h11._receivebuffer import ReceiveBuffer

_BARE = re.compile(rb"(?<!\r)\n")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)


class StrictHttp(h11.Connection):
    """A server's side of a connection; a head may have ``most`` bytes."""

    def __init__(self, most: int) -> None:
        super().__init__(h11.SERVER, most)
        self._receive_buffer = _Lines()
        self.method = b""
        """Of the request that came last."""

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.method = event.method
            names = {name for name, _ in event.headers}
            if b"transfer-encoding" in names and (b"content-length" in names or event.http_version < b"1.1"):
                raise h11.RemoteProtocolError("the length of the body is told in two ways")
            return _by_path(event)
        return event


def _by_path(request: h11.Request) -> h11.Request:
    """The same, with a path for its target: a host that stands there counts, and what the header says does not."""
    if not (found := _ABSOLUTE.match(request.target)):
        return request
    path = request.target[found.end() :]
    return h11.Request(
        method=request.method,
        target=path if path.startswith(b"/") else b"/" + path,
        headers=[(b"host", found[1]), *((name, value) for name, value in request.headers if name != b"host")],
        http_version=request.http_version,
    )


class _Lines(ReceiveBuffer):
    """Where h11 takes heads and trailers from: all that is not framed by a length."""

    def maybe_extract_lines(self) -> list[bytearray] | None:
        if not self._data.startswith(b"\r\n"):
            end = self._data.find(b"\r\n\r\n")
            if _BARE.search(self._data, 0, end if end >= 0 else len(self._data)):
                raise h11.LocalProtocolError("a line ends without CR")
        return super().maybe_extract_lines()
