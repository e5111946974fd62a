"""A host that gives no thread any more, as where a limit of tasks is reached or memory is short."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def no_thread(begins: str = "") -> Iterator[None]:
    """None whose name ``begins`` so."""
    start = threading._start_new_thread  # type: ignore[attr-defined]

    def refuse(run: Any, *arguments: Any) -> Any:
        if run.__self__.name.startswith(begins):
            raise RuntimeError("can't start new thread")
        return start(run, *arguments)

    with patch.object(threading, "_start_new_thread", refuse):
        yield
