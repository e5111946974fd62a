"""What PHP writes and reads: http_build_query and json_encode, byte for byte, and parse_str.

What a client signs must be what the server's PHP makes of the same parameters.
"""

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote_plus, unquote_to_bytes

Value = str | int | bool | Mapping[str, "Value"] | Sequence["Value"] | None

MOST_VARIABLES, DEEPEST = 1000, 64
"""PHP's own max_input_vars and max_input_nesting_level: what goes beyond is left out."""

_NAME = re.compile(r"([^\[]+)((?:\[[^\]]*\])*)")


def http_build_query(parameters: Mapping[str, Value]) -> str:
    """``parameters`` as a form: null and what is empty dropped, a list by its indices, yes and no as 1 and 0."""
    return "&".join(_pairs(parameters, None))


def _pairs(values: Mapping[str, Value] | Sequence[Value], prefix: str | None) -> list[str]:
    items = values.items() if isinstance(values, Mapping) else enumerate(values)
    found: list[str] = []
    for key, value in items:
        name = _encoded(str(key)) if prefix is None else f"{prefix}%5B{_encoded(str(key))}%5D"
        if isinstance(value, str | int):
            found.append(f"{name}={_encoded(str(int(value)) if isinstance(value, bool) else str(value))}")
        elif value is not None:
            found += _pairs(value, name)
    return found


def _encoded(text: str) -> str:
    return quote_plus(text).replace("~", "%7E")


def json_encode(said: object) -> bytes:
    """In ASCII, with a backslash before each slash."""
    return json.dumps(said, separators=(",", ":")).replace("/", "\\/").encode()


def parse_str(query: str) -> dict[str, Value]:
    """What PHP makes of a form, or of a URL's query: a list is a mapping by its indices.

    A byte that is no UTF-8 is U+FFFD.
    """
    found: dict[str, Value] = {}
    for pair in [one for one in query.split("&") if one][:MOST_VARIABLES]:
        name, _, value = pair.partition("=")
        said = _decoded(name).lstrip(" ")
        if parts := _NAME.match(said):
            inner = re.findall(r"\[([^\]]*)\]", parts[2])
            # A bracket that is not closed belongs to the name.
            first = parts[1] if inner else said
            if len(inner) < DEEPEST:
                _put(found, [re.sub(r"[ .\[]", "_", first), *inner], _decoded(value))
    return found


def _put(found: dict[str, Value], path: list[str], value: str) -> None:
    holder = found
    for key, below in zip(path, [*path[1:], None], strict=True):
        name = key or (str(_next(holder)) if holder is not found else "")
        if below is None:
            holder[name] = value
            return
        inner = holder.get(name)
        if not isinstance(inner, dict):
            inner = holder[name] = {}
        holder = inner


def _next(holder: Mapping[str, Value]) -> int:
    """What ``[]`` is: one more than the highest index."""
    return max((int(key) for key in holder if re.fullmatch(r"0|[1-9][0-9]{0,8}", key)), default=-1) + 1


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")
