"""Tells records that are equal to the byte apart: the n-th one that a reading of a file reports is the n-th call.

Equal records stand close together (Asterisk writes a channel's records when the channel ends), so only a window of
the file is remembered. It is a mebibyte, a thousand times a record's greatest length.
"""

from collections import deque

from humbug_agent.cdr import occurrence

WINDOW = 2**20
"""Bytes."""

BORDER = 2**14
"""Bytes at the end of a file that count in the next one."""


class Occurrences:
    """Counts equal digests within the window of one reading. Offsets are bytes in the file being read."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[int, int]] = {}
        self._order: deque[tuple[int, bytes]] = deque()
        # Those of the seen that `repeats` tells, which is asked for with each record that comes alone.
        self._again: set[bytes] = set()
        self._last = b""

    @property
    def last(self) -> str:
        """The digest (hex) of the last record; blank before the first."""
        return self._last.hex()

    def identity(self, digest: bytes, offset: int) -> bytes:
        """The identity of the record at ``offset``, which comes after all those asked for before."""
        seen, order = self._seen, self._order
        before = seen.get(digest)
        number = before[0] + 1 if before else 1
        if number > 1:
            self._again.add(digest)
        self._last = digest
        seen[digest] = number, offset
        order.append((offset, digest))
        while order[0][0] < offset - WINDOW:
            old, gone = order.popleft()
            if seen[gone][1] == old:
                del seen[gone]
                self._again.discard(gone)
        return digest if number == 1 else occurrence(digest, number)

    def begins(self, offset: int) -> int:
        """Where in the file the oldest record stands that is still remembered; ``offset`` when none is."""
        return max(0, self._order[0][0]) if self._order else offset

    def repeats(self) -> dict[str, int]:
        """What can't be counted again from the window alone: the digests (hex) seen more than once, and the last."""
        told = {self._last} & self._seen.keys() | self._again
        # In the order in which they came, where there is one.
        those = self._seen if len(told) > 1 else told
        return {digest.hex(): self._seen[digest][0] for digest in those if digest in told}

    def set_repeats(self, repeats: dict[str, int]) -> None:
        # They came in this order.
        for hexdigest, number in reversed(repeats.items()):
            digest = bytes.fromhex(hexdigest)
            if digest in self._seen:
                self._seen[digest] = (number, self._seen[digest][1])
            else:
                self._seen[digest] = (number, -1)
                self._order.appendleft((-1, digest))
            if number > 1 or self._seen[digest][1] < 0:
                self._again.add(digest)
            else:
                self._again.discard(digest)

    def opening(self) -> tuple[bytes, ...]:
        """The first records' digests, up to one that differs from the first; nothing where there is none.

        Equal records stand on both sides of a rotation. Two files that begin with the same different ones are copies.
        """
        digests = [digest for _, digest in self._order]
        other = next((at for at, digest in enumerate(digests) if digest != digests[0]), None)
        return () if other is None else tuple(digests[: other + 1])

    def has_seen(self, opening: tuple[bytes, ...]) -> bool:
        """Whether these records came just so, one after the other."""
        if not opening or opening[0] not in self._seen:
            return False
        digests = [digest for _, digest in self._order]
        return any(tuple(digests[at : at + len(opening)]) == opening for at in range(len(digests)))

    def has_from_before(self, digest: str) -> bool:
        """Whether such a record (hex) was last counted in an earlier file."""
        _, offset = self._seen.get(bytes.fromhex(digest), (0, 0))
        return offset < 0

    def first(self) -> str:
        """The digest (hex) of the oldest record that is remembered; blank where there is none."""
        return self._order[0][1].hex() if self._order else ""

    def carried(self, length: int) -> dict[str, int]:
        """What `next_file` would go on from, as `set_repeats` takes it."""
        near: dict[str, int] = {}
        # From the end: it is asked for with each record behind a copy, and a window has thousands.
        for offset, digest in reversed(self._order):
            if offset < length - BORDER:
                break
            near.setdefault(digest.hex(), self._seen[digest][0])
        return dict(reversed(near.items()))

    def next_file(self, length: int) -> None:
        """The next file goes on where this one ended, ``length`` bytes long: count on across the border."""
        self._seen = {
            digest: (number, offset - length)
            for digest, (number, offset) in self._seen.items()
            if offset >= length - BORDER
        }
        self._order = deque((offset - length, digest) for offset, digest in self._order if offset >= length - BORDER)
        self._again = {digest for digest, (number, offset) in self._seen.items() if number > 1 or offset < 0}
