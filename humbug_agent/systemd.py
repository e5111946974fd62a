"""Tells systemd how the daemon fares, when it is the one who started it."""

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send ``state`` (such as READY=1) as sd_notify(3) says; does nothing where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel, suppress(OSError):
        channel.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        channel.sendall(state.encode())
