"""PHP's http_build_query, byte for byte: what is signed must be what the server's PHP makes of the same parameters."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote_plus

Value = str | int | bool | Mapping[str, "Value"] | Sequence["Value"] | None


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
