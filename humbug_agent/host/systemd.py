"""Tells systemd how the daemon fares, when it is the one who started it; and the admin, whom to ask for a reload."""

import os
import socket
from contextlib import suppress


def started_us() -> bool:
    """Whether it listens to this process. A daemon that was started otherwise has no unit to be reloaded."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def to_reload(*, by_systemd: bool, options: str = "") -> str:
    """The command that has the daemon read agent.ini again; ``options`` with a blank behind them."""
    return "systemctl reload humbug-agent" if by_systemd else f"humbug-agent {options}reload"


def notify(state: str) -> None:
    """Send ``state`` (such as READY=1) as sd_notify(3) says; does nothing where nobody listens."""
    if not started_us():
        return
    address = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel, suppress(OSError):
        channel.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        channel.sendall(state.encode())
