"""What clients send behind the head of a request: within limits of size, time and memory."""

import asyncio
from collections.abc import Mapping

from starlette.types import Receive


class Gone(Exception):
    """The client went away in the middle of its body. Nobody is there to be answered."""


class Refused(Exception):
    """With an HTTP status, and why in words. ``late``: nothing more is waited for, the connection is to be closed."""

    def __init__(self, status: int, why: str, *, late: bool = False) -> None:
        super().__init__(why)
        self.status = status
        self.late = late


class _Body(bytearray):
    """One that comes in; ``limit`` cuts it."""

    limit: asyncio.Timeout


class Bodies:
    """Reads them. Of one ``most`` bytes are taken, and of all that have come in part ``together``.

    Beyond that the longest of them gives way: who sends a little is not kept out by those who send much, slowly.
    """

    def __init__(self, most: int, together: int, seconds: float, too_large: str) -> None:
        self._most = most
        self._together = together
        self._seconds = seconds
        self._too_large = too_large
        # Compared by identity: two may hold the same.
        self._coming: dict[int, _Body] = {}

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """Raises Refused, Gone."""
        length = headers.get(b"content-length", b"0")
        if len(length) > 12 or int(length) > self._most:
            raise Refused(413, self._too_large)
        body = _Body()
        self._coming[id(body)] = body
        try:
            async with asyncio.timeout(self._seconds) as body.limit:
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    body += message.get("body", b"")
                    if len(body) > self._most:
                        raise Refused(413, self._too_large)
                    self._make_room()
                    more = message.get("more_body", False)
        except TimeoutError:
            if id(body) not in self._coming:
                raise Refused(503, "too much at once") from None
            raise Refused(408, f"did not come within {self._seconds:g} s", late=True) from None
        finally:
            self._coming.pop(id(body), None)
        return bytes(body)

    def _make_room(self) -> None:
        while sum(map(len, self._coming.values())) > self._together:
            longest = max(self._coming.values(), key=len)
            del self._coming[id(longest)]
            # Whose time is over is on its way out.
            if not longest.limit.expired():
                longest.limit.reschedule(asyncio.get_running_loop().time())
