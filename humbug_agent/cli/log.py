"""The log of what runs on: to standard error."""

import logging
import os
from typing import Any

from humbug_agent.text import printable


class _Printable(logging.Formatter):
    """A message may quote what others wrote: it stays one line, and no terminal obeys it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, error: Any) -> str:
        return "\n".join(map(printable, super().formatException(error).split("\n")))


def set_up_logging(level: str) -> None:
    """To standard error; for the journal with its priority, which it asks for by JOURNAL_STREAM, else with the time."""

    class Journal(_Printable):
        """The log's format under systemd: the level in front, no time, which the journal has itself."""

        def format(self, record: logging.LogRecord) -> str:
            priority = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}[record.levelname]
            return f"<{priority}>" + super().format(record).replace("\n", f"\n<{priority}>")

    handler = logging.StreamHandler()
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(Journal("%(message)s"))
    else:
        handler.setFormatter(_Printable("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What they have to say we notice ourselves, and say in an admin's words.
    for library in ("urllib3", "watchdog", "panoramisk"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
