"""A port for a server that comes and goes, or for one that is to be missing."""

import random
import socket
from contextlib import suppress
from pathlib import Path


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens, and which the kernel gives to no connection by itself.

    A port that the kernel chose may be given to somebody's connection while its server is away, which then can't listen
    there for as long as that connection lives; and who knocks there meanwhile may be connected to himself.
    """
    first_of_the_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, first_of_the_kernel)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
