"""A connection to a NATS server with a stream that takes calls, in asyncio. It is given up where it fails.

What was sent over it and not acknowledged by then is in doubt, and may be sent again: the stream knows it.
"""

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from humbug_agent.destinations.contract import DeliveryError, Later, Misconfigured, Outcome, Unsendable
from humbug_agent.destinations.nats.answers import judged
from humbug_agent.destinations.nats.message import Message, pattern
from humbug_agent.destinations.nats.settings import NatsSettings, Server
from humbug_agent.http_client import names
from humbug_agent.ini import shown
from humbug_agent.words import count, said

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

EXTRA = "needs nats-py: pip install 'humbug-agent[nats]'"

CLOSE_SECONDS = 0.5
"""For a polite end; a server that hangs gets none."""

NO_STREAM = 10059
NOT_ENABLED = (10039, 10076)
"""JetStream, for the server or the account."""


class Link:
    """Publishes, and tells ``outcome`` of each number what came of it. ``ended`` hears why it is of no use any more."""

    def __init__(
        self, settings: NatsSettings, where: str, outcome: Callable[[int, Outcome], None], ended: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._where = where
        self._outcome = outcome
        self._ended = ended
        self._client: Client | None = None
        self._inbox = ""
        self._waiting: dict[int, tuple[str, float]] = {}
        self._failed: DeliveryError | None = None
        self._last: Exception | None = None
        self._opened = False

    async def open(self, *, make: bool = True) -> str:
        """Connect, and see to the stream; says what was found. Raises DeliveryError. Not ``make``: make none."""
        try:
            import nats.errors
        except ImportError as error:
            raise Misconfigured(f"type nats {EXTRA} ({error})") from error
        failed: DeliveryError = Later(f"{self._where}: no server")
        for server in self._settings.servers:
            try:
                async with asyncio.timeout(self._settings.timeout):
                    await self._connect(server)
                    found = await self._see_to_stream(make=make)
                if self._failed:
                    raise self._failed
                self._opened = True
                return found
            except DeliveryError as error:
                failed = error
            except TimeoutError:
                failed = Later(f"{self._where}: no answer within {self._settings.timeout} s")
            except (OSError, nats.errors.Error) as error:
                failed = self._not_connected(error)
            await self.close()
            self._failed = None
        raise failed

    async def publish(self, number: int, message: Message) -> None:
        """Raises DeliveryError where the link has failed meanwhile."""
        import nats.errors

        if self._failed or self._client is None:
            raise self._failed or Later(f"{self._where}: the connection was lost")
        self._waiting[number] = message.subject, time.monotonic() + self._settings.timeout
        try:
            await self._client.publish(
                message.subject, message.body, reply=f"{self._inbox}.{number}", headers=message.headers
            )
        except nats.errors.MaxPayloadError:
            self._come(number, Unsendable(f"is larger than {self._where} takes (max_payload)"))
        except (OSError, nats.errors.Error) as error:
            self.fail(self._not_connected(error))

    def look(self) -> None:
        """To be called now and then: fail where an acknowledgement is late."""
        # They were sent in this order.
        oldest = next(iter(self._waiting.values()), None)
        if oldest and time.monotonic() >= oldest[1]:
            self.fail(Later(f"{self._where}: no answer within {self._settings.timeout} s"))

    def fail(self, why: DeliveryError) -> None:
        if self._failed is None:
            self._failed = why
            for number in list(self._waiting):
                self._come(number, why)
            self._ended()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(Exception):
            await asyncio.wait_for(client.close(), CLOSE_SECONDS)

    async def _connect(self, server: Server) -> None:
        from nats.aio.client import Client

        scheme = "tls" if server.tls else "nats"
        urls = [f"{scheme}://{shown(address, server.port)}" for address in await self._addresses(server)]
        settings = self._settings
        self._client = client = Client()
        await client.connect(
            urls,
            name="humbug-agent",
            allow_reconnect=False,
            # Each address is tried once more, at once.
            dont_randomize=True,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=settings.timeout,
            # Of acknowledgements that don't come it is known sooner.
            ping_interval=max(settings.timeout, 1),
            user=settings.user or None,
            password=settings.password.reveal() if settings.password else None,
            token=settings.token.reveal() if settings.token else None,
            tls=ssl.create_default_context(cafile=settings.ca_file),
            tls_hostname=server.host,
            error_cb=self._heard,
            closed_cb=self._closed,
        )
        if server.tls and not client._server_info.get("tls_required"):
            raise Misconfigured(f"{self._where}: speaks no TLS; write nats:// in url, or give it a certificate")
        self._inbox = client.new_inbox()
        await client.subscribe(f"{self._inbox}.*", cb=self._acknowledged)

    async def _addresses(self, server: Server) -> list[str]:
        """Looked up where nobody has to wait for a thread that can't be ended."""
        while True:
            try:
                found = names.look_up(server.host, server.port, lambda: 0.0, lambda: False)
                return list(dict.fromkeys(str(address[0]) for *_, address in found))
            except TimeoutError:
                await asyncio.sleep(0.01)

    async def _see_to_stream(self, *, make: bool) -> str:
        from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
        from nats.js.errors import APIError, NotFoundError

        assert self._client
        settings = self._settings
        jetstream = self._client.jetstream(timeout=settings.timeout)
        found = f"nats-server {self._client._server_info.get('version', '')}, stream {settings.stream}"
        try:
            info = await jetstream.stream_info(settings.stream)
            return f"{found} has {count(info.state.messages, 'message')}"
        except NotFoundError as error:
            if not settings.create:
                raise Misconfigured(
                    f"{self._where}: there is no stream {settings.stream}; make it, or set create = yes"
                ) from error
        except APIError as error:
            raise self._refused(error) from error
        if not make:
            return f"{found} is made with the first call"
        # What would be in the way of one call and one message each: none of its own subject may come a second time.
        config = StreamConfig(
            name=settings.stream,
            subjects=[pattern(settings.subject)],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            num_replicas=settings.replicas,
            discard=DiscardPolicy.NEW,
        )
        if "{id}" in settings.subject:
            config.max_msgs_per_subject, config.discard_new_per_subject = 1, True
        try:
            await jetstream.add_stream(config)
        except APIError as error:
            raise self._refused(error) from error
        return f"{found} was made"

    def _refused(self, error: Any) -> DeliveryError:
        """What JetStream says to a question about a stream."""
        text = (
            f"{self._where}: {error.description or 'JetStream does not answer'} ({error.err_code or error.code or 503})"
        )
        if error.err_code in NOT_ENABLED or error.err_code is None:
            return Misconfigured(f"{text}; set jetstream in nats-server.conf, or for the account")
        return Later(text) if (error.code or 0) >= 500 else Misconfigured(text)

    def _not_connected(self, error: Exception) -> DeliveryError:
        from nats import errors

        if isinstance(error, errors.NoServersError) and self._last:
            error = self._last
        # What asyncio says of a connection that was refused does not say so.
        words = said(error)
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno and error.errno > 0:
            words = os.strerror(error.errno)
        text = f"{self._where}: {' '.join((words or type(error).__name__).split()).removeprefix('nats: ')}"
        if isinstance(error, ssl.SSLError):
            return Misconfigured(f"{text}; check the certificate, or ca_file")
        if isinstance(error, errors.AuthorizationError) or "uthoriz" in text or "uthentic" in text:
            return Misconfigured(f"{text}; check user and password, or token")
        return Later(text)

    async def _heard(self, error: Exception) -> None:
        """What is said beside all answers, or why it is not reached: a right that is missing is told only so."""
        self._last = error
        if "permissions violation" in str(error).lower():
            self.fail(Misconfigured(f"{self._where}: {' '.join(str(error).split()).removeprefix('nats: ')}"))

    async def _closed(self) -> None:
        if self._opened:
            self.fail(Later(f"{self._where}: the connection was lost"))

    async def _acknowledged(self, message: "Msg") -> None:
        number = message.subject.rpartition(".")[2]
        if number.isdigit() and (sent := self._waiting.get(int(number))):
            status = message.headers.get("Status") if message.headers else None
            outcome = judged(message.data, status, self._where, sent[0])
            self._come(int(number), outcome)
            if status:
                self.fail(Later(f"{self._where}: no stream took what was sent"))

    def _come(self, number: int, outcome: Outcome) -> None:
        if self._waiting.pop(number, None):
            self._outcome(number, outcome)
