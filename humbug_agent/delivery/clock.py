"""The clocks by which deliveries wait: the time of day, which somebody may set, and one that nobody sets."""

import time


class Clock:
    """The computer's own."""

    def time(self) -> float:
        """Seconds since the epoch, as somebody has set them."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that nobody sets, from any beginning."""
        return time.monotonic()


REAL = Clock()
