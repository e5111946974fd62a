"""Tokens as Laravel's Sanctum has them: ``ID|forty letters and digits``, of which the store keeps the SHA-256 alone."""

import hashlib
import hmac
import re
import secrets
import string
import time
from collections.abc import Callable

from humbug_agent.call_store.contract import Store

LETTERS = string.ascii_letters + string.digits
LENGTH = 40

USED_SECONDS = 3600
"""When a token was used is written down at most so often: what is asked mostly needs no write."""

_TOKEN = re.compile(r"([0-9]{1,18})\|(.+)")


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def issued(account: str, add: Callable[[str, bytes], int]) -> str:
    """A new token of the account's, which nobody can ever be shown again; ``add`` keeps its digest, as a store does."""
    secret = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
    return f"{add(account, digest(secret))}|{secret}"


def whose(token: str, store: Store) -> str:
    """The name of the account whose token it is; blank where it is nobody's. Raises CantAnswer.

    How long it takes does not tell how much of it was right.
    """
    found = _TOKEN.fullmatch(token)
    kept = store.token(int(found[1])) if found else None
    right = hmac.compare_digest(digest(found[2] if found else ""), kept.digest if kept else bytes(32))
    if not kept or not right:
        return ""
    if kept.used is None or abs(time.time() - kept.used) >= USED_SECONDS:
        store.use_token(kept.id)
    return kept.account
