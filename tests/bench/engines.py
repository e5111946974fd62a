"""Databases and streams that calls can go to, of those that this host has: each a real server of the bench's own."""

from collections.abc import Sequence

from tests.kit import nats_server, postgresql_server


class Postgresql(postgresql_server.PostgresqlServer):
    """It syncs each commit, as it does in earnest."""

    type = "postgresql"
    at_least: float | None = 15_000

    def __init__(self) -> None:
        super().__init__(fsync=True)

    def calls(self) -> dict[str, int]:
        return counted([identity for (identity,) in self.ask("SELECT identity FROM cdr")])


class Nats(nats_server.NatsServer):
    """As it is set up where nobody says more."""

    type = "nats"
    at_least: float | None = None

    def calls(self) -> dict[str, int]:
        return counted([event["id"] for event in self.events()])


def counted(calls: Sequence[object]) -> dict[str, int]:
    """Of what is there, each known by this."""
    distinct = len(set(calls))
    return {"accepted": len(calls), "distinct": distinct, "duplicates": len(calls) - distinct}


def present() -> list[type[Postgresql] | type[Nats]]:
    return [
        *([Postgresql] if postgresql_server.programs() else []),
        *([Nats] if nats_server.program() else []),
    ]
