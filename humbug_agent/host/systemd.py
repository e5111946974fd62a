"""Tells systemd how the daemon fares, when it is the one who started it; and the admin, whom to ask for a reload."""

import os
import re
import socket
import time
from contextlib import suppress
from pathlib import Path


def unit() -> str:
    """The unit whose daemon this process is, such as humbug-agent or humbug-agent@office; blank: started otherwise.

    Such a daemon has no unit to be reloaded. Source: cgroups(7), /proc/PID/cgroup.
    """
    if not os.environ.get("NOTIFY_SOCKET"):
        return ""
    with suppress(OSError):
        if named := re.search(r"/(humbug-agent[^/\n]*)\.service$", Path("/proc/self/cgroup").read_text(), re.MULTILINE):
            return named[1]
    return "humbug-agent"


def to_reload(unit: str, options: str = "") -> str:
    """The command that has the daemon read agent.ini again.

    ``unit`` is its unit, or blank; ``options`` those of humbug-agent, with a blank behind them.
    """
    return f"systemctl reload {unit}" if unit else f"humbug-agent {options}reload"


def notify(state: str) -> None:
    """Send ``state`` (such as READY=1) as sd_notify(3) says; does nothing where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel, suppress(OSError):
        channel.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        channel.sendall(state.encode())


def notify_reloading() -> None:
    """That agent.ini is read again, until READY=1; Type=notify-reload wants to know since when."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
