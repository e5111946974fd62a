"""Threads that the host may not give: where tasks or memory are short it gives none, and later it does again."""

import errno
import threading


def start(thread: threading.Thread) -> None:
    """Raises OSError where the host gives none. Only then is it to be noted anywhere that the thread is there."""
    try:
        thread.start()
    except (RuntimeError, MemoryError):
        raise OSError(errno.EAGAIN, "this host lets no thread begin: too many tasks, or too little memory") from None
