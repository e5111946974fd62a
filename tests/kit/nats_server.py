"""A real nats-server of a test's own, with JetStream in a folder of its own, that can be killed and stopped."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import nats
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from tests.kit.needed import needed
from tests.kit.ports import free_port
from tests.kit.rude import until

USER, PASSWORD = "humbug-agent", "a-word-that-nobody-may-see"
DEADLINE = 60.0


def program() -> str | None:
    """That of the wheel, or of the system."""
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else shutil.which("nats-server")


class NatsServer:
    """Listens on loopback and wants a password. ``more`` are further lines of its configuration."""

    def __init__(self, more: str = "") -> None:
        self._program = needed(program(), "nats-server", "HUMBUG_TEST_DATABASES_REQUIRED")
        self.folder = Path(tempfile.mkdtemp(prefix="humbug-nats-"))
        self.port = free_port()
        self.configure(more)
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, more: str, *, permissions: str = "", jetstream: bool = True) -> None:
        """From the next start on; ``permissions`` are those of the agent's user."""
        stored = f'jetstream {{ store_dir: "{self.folder}/stored" }}\n' if jetstream else ""
        users = f'{{user: "{USER}", password: "{PASSWORD}"{permissions}}}, {{user: admin, password: admin}}'
        (self.folder / "nats.conf").write_text(
            f"listen: 127.0.0.1:{self.port}\n{stored}authorization {{ users: [{users}] }}\n{more}\n"
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def lines(self, *, password: str = PASSWORD) -> str:
        """For [destination NAME]."""
        return f"url = nats://127.0.0.1:{self.port}\nuser = {USER}\npassword = {password}\n"

    def start(self) -> None:
        """Until it takes connections."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self.folder / "nats.conf")], stdout=log, stderr=log
            )
        until(self._listens, DEADLINE, "nats-server takes connections")

    def kill(self) -> None:
        """With SIGKILL."""
        if self._process:
            self._process.kill()
            self._process.wait(DEADLINE)
            self._process = None

    def freeze(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def is_waited_for(self) -> bool:
        """Whether somebody has sent something, or connected, that it has not read."""
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, _, _, queues, *_ = line.split()
            if int(local.partition(":")[2], 16) == self.port and int(queues.partition(":")[2], 16):
                return True
        return False

    def events(self, stream: str = "CDR") -> list[dict[str, Any]]:
        """What is in the stream, in its order; nothing where there is none."""
        return asyncio.run(self._events(stream))

    async def connect(self) -> Client:
        """As somebody who may do everything."""
        return await nats.connect(f"nats://127.0.0.1:{self.port}", user="admin", password="admin")

    async def _events(self, stream: str) -> list[dict[str, Any]]:
        client = await self.connect()
        try:
            jetstream = client.jetstream()
            try:
                left = (await jetstream.stream_info(stream)).state.messages
            except NotFoundError:
                return []
            config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
            reading = await jetstream.pull_subscribe("", stream=stream, config=config)
            found: list[dict[str, Any]] = []
            while len(found) < left:
                for message in await reading.fetch(min(500, left - len(found)), timeout=DEADLINE):
                    found.append(json.loads(message.data))
                    await message.ack()
            return found
        finally:
            await client.close()

    def _listens(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self.folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
