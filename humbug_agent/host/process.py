"""What a process of this host uses now, as the kernel tells it."""

import os
import time
from collections.abc import Mapping
from pathlib import Path


def usage(pid: int) -> Mapping[str, float]:
    """By name, with the unit in it; empty where the process is gone or may not be looked at."""
    folder = Path(f"/proc/{pid}")
    try:
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
        # The name, in brackets, may have blanks in it.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        opened = len(list((folder / "fd").iterdir()))
    except OSError:
        return {}
    ticks = os.sysconf("SC_CLK_TCK")
    up = time.clock_gettime(time.CLOCK_BOOTTIME)
    return {
        "process_resident_kilobytes": float(status["VmRSS"].split()[0]),
        "process_most_resident_kilobytes": float(status["VmHWM"].split()[0]),
        "process_threads": float(status["Threads"]),
        "process_open_files": float(opened),
        "process_cpu_seconds": (int(fields[11]) + int(fields[12])) / ticks,
        "process_age_seconds": round(up - int(fields[19]) / ticks, 1),
    }
