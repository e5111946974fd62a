"""Requests for the receiver, made by an encoder that shares nothing with the sender's."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from urllib.parse import quote, urlencode

import requests

from humbug_agent.receiver import Background, Misbehaviour, Receiver, Store
from tests.kit.paths import DATA

VECTOR = json.loads((DATA / "humbug-vector.json").read_text("utf-8"))
FIELDS: dict[str, str] = VECTOR["input"]["fields"]
API_KEY: str = VECTOR["input"]["gateway"]
KEY: str = VECTOR["input"]["key"]
EVENT_TIME: str = VECTOR["input"]["event_time"]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CALL = {"gateway": API_KEY, "encoded": "0", **FIELDS, "event_time": EVENT_TIME}


def hexed(text: str, key: str) -> str:
    return "".join(f"{a ^ b:02x}" for a, b in zip(text.encode(), cycle(key.encode()), strict=False))


def encode(fields: dict[str, str], key: str = KEY, gateway: str = API_KEY) -> bytes:
    """An encoded body, written from the vendor's page and not from the package."""
    pairs = {"gateway": gateway, "encoded": "1", **fields}
    inner = "".join(f"{name}={quote(value, safe=' /:,')}&" for name, value in pairs.items())
    outer = {"gateway": gateway, "encoded": "1", "data": hexed(inner, key), "event_time": EVENT_TIME}
    return urlencode(outer).encode()


def plain(**changes: str | None) -> bytes:
    return urlencode({name: value for name, value in {**CALL, **changes}.items() if value is not None}).encode()


def post(url: str, body: bytes, **headers: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url, body, headers=FORM | headers, allow_redirects=False, timeout=20)


@contextmanager
def misbehaving(store: Store, misbehaviour: Misbehaviour) -> Iterator[str]:
    with Background(Receiver(store, misbehaviour=misbehaviour)) as background:
        yield background.url
