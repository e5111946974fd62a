"""What differs between two documents of JSON, as a JSON Patch (RFC 6902)."""

from collections.abc import Mapping, Sequence
from typing import Any

Patch = list[dict[str, Any]]

NAMES = ("id", "interface", "name")
"""By the first of these that it has, an object in a list is known again wherever it stands there."""


def differences(old: Any, new: Any, path: str = "") -> Patch:
    """What makes ``new`` of ``old``, which stands at ``path``: operations add, remove, replace and move."""
    if old == new:
        return []
    match old, new:
        case dict(), dict():
            return _of_objects(old, new, path)
        case list(), list() if _names(old) and _names(new):
            return _of_lists(old, new, path)
    return [{"op": "replace", "path": path, "value": new}]


def _of_objects(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Patch:
    found: Patch = [{"op": "remove", "path": _below(path, name)} for name in old if name not in new]
    for name, value in new.items():
        if name in old:
            found += differences(old[name], value, _below(path, name))
        else:
            found.append({"op": "add", "path": _below(path, name), "value": value})
    return found


def _of_lists(old: Sequence[Any], new: Sequence[Any], path: str) -> Patch:
    known, wanted = _names(old), _names(new)
    gone = [place for place, name in enumerate(known) if name not in wanted]
    found: Patch = [{"op": "remove", "path": f"{path}/{place}"} for place in reversed(gone)]
    # How the list stands, as far as it has been changed.
    names, left = ([one for place, one in enumerate(each) if place not in gone] for each in (known, old))
    for place, (name, item) in enumerate(zip(wanted, new, strict=True)):
        here = f"{path}/{place}"
        if name not in known:
            names.insert(place, name)
            left.insert(place, item)
            found.append({"op": "add", "path": here, "value": item})
            continue
        if names[place] != name:
            stands = names.index(name, place)
            for each in (names, left):
                each.insert(place, each.pop(stands))
            found.append({"op": "move", "from": f"{path}/{stands}", "path": here})
        found += differences(left[place], item, here)
    return found


def _names(items: Sequence[Any]) -> list[str]:
    """Of all of them, in their order; none where they can't be told apart by a name."""
    found = [_name(item) for item in items]
    return [] if None in found or len(set(found)) < len(found) else [name for name in found if name is not None]


def _name(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None
    return next((item[name] for name in NAMES if isinstance(item.get(name), str)), None)


def _below(path: str, name: str) -> str:
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
