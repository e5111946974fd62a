"""What is kept alive by asyncio, in a thread of its own, for as long as the daemon runs."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress

STOP_SECONDS = 5.0


class Keeping:
    """``keep`` runs for ever; should it end, ``tell`` hears why. ``close`` is called when it is over."""

    def __init__(
        self,
        name: str,
        keep: Callable[[], Coroutine[object, object, None]],
        tell: Callable[[str], None],
        close: Callable[[], None],
    ) -> None:
        self._keep = keep
        self._tell = tell
        self._close = close
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def is_alive(self) -> bool:
        """False where it has ended by a fault of this program."""
        return self._thread.is_alive()

    def stop(self) -> None:
        with suppress(RuntimeError):
            # It may have ended by a fault of this program.
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(STOP_SECONDS)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._ready.set()
        keeping = asyncio.ensure_future(self._keep())
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((keeping, stopped), return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                self._tell(f"stopped by a fault of this program: {keeping.exception()!r}")
        finally:
            keeping.cancel()
            self._close()
