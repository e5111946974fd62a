"""Whether the files beside a log may be read."""

import os
from collections.abc import Sequence
from pathlib import Path

from humbug_agent.sources.contract import SourceError


def look_whether_readable(files: Sequence[Path]) -> None:
    """Raises SourceError naming the first that is closed to the user that this process runs as."""
    closed = [file for file in files if file.exists() and not os.access(file, os.R_OK)]
    if closed:
        more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
        raise SourceError(
            f"{closed[0]}{more}: can't be read; let logrotate make it with the owner and the mode of the log itself"
        )
