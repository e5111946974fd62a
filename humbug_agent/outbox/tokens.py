"""Tokens by which programs ask an API: whose each is, and the digest of its secret."""

import time

from humbug_agent.call_store.contract import Token
from humbug_agent.outbox.outbox import Outbox

MOST = 1000
"""Of one account: who logs in for each question gets another one each time. The oldest ones go."""

_TOKENS = "SELECT id, account, digest, made, used FROM tokens"


def token(outbox: Outbox, number: int) -> Token | None:
    """Raises OutboxError."""
    found = [Token(*row) for row in outbox.select(f"{_TOKENS} WHERE id = ?", number)]
    return found[0] if found else None


def use(outbox: Outbox, number: int) -> None:
    """It was used just now. Raises OutboxError."""
    with outbox.transaction() as conn:
        conn.execute("UPDATE tokens SET used = ? WHERE id = ?", (time.time(), number))


def tokens(outbox: Outbox) -> list[Token]:
    """All of them, in the order in which they were made. Raises OutboxError."""
    return [Token(*row) for row in outbox.select(f"{_TOKENS} ORDER BY id")]


def add(outbox: Outbox, account: str, digest: bytes) -> int:
    """Returns its number, which no other one ever gets. Raises OutboxError."""
    with outbox.transaction() as conn:
        made = conn.execute(
            "INSERT INTO tokens (account, digest, made) VALUES (?, ?, ?)", (account, digest, time.time())
        ).lastrowid
        conn.execute(
            "DELETE FROM tokens WHERE account = ?1 AND id NOT IN "
            "(SELECT id FROM tokens WHERE account = ?1 ORDER BY id DESC LIMIT ?2)",
            (account, MOST),
        )
    return int(made or 0)


def drop(outbox: Outbox, number: int) -> bool:
    """Whether it was there. Raises OutboxError."""
    with outbox.transaction() as conn:
        return conn.execute("DELETE FROM tokens WHERE id = ?", (number,)).rowcount > 0


def drop_all(outbox: Outbox, account: str) -> int:
    """All of the account's; returns how many they were. Raises OutboxError."""
    with outbox.transaction() as conn:
        return conn.execute("DELETE FROM tokens WHERE account = ?", (account,)).rowcount
