"""A model of what mod_json_cdr and mod_xml_cdr write and post, and recorded documents to make theirs of."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from tests.kit.paths import DATA

RECORDED = DATA / "freeswitch" / "docs"
ANSWERED = "answered_callee/a_4855758b-ec4a-41a5-8cec-b4d1ba826fe1"
UUID = "4855758b-ec4a-41a5-8cec-b4d1ba826fe1"

_UNSAFE = b'\r\n "#%&+:;<=>?@[\\]^`{|}'
_HEX = b"0123456789ABCDEF"


def url_encoded(raw: bytes, room: int, *, twice: bool = False) -> bytes:
    """switch_url_encode_opt: without ``twice`` it leaves alone what looks encoded. ``room`` has the NUL in it."""
    out = bytearray()
    for at, byte in enumerate(raw):
        following = raw[at + 1 : at + 3]
        looks_encoded = byte == ord("%") and len(following) == 2 and all(digit in _HEX for digit in following)
        if byte < 32 or byte > 126 or byte in _UNSAFE:
            if looks_encoded and not twice:
                out.append(byte)
                continue
            if len(out) + 3 > room - 1:
                break
            out += b"%%%02X" % byte
        else:
            if len(out) >= room - 1:
                break
            out.append(byte)
    return bytes(out)


def recorded(name: str, ending: str = "json") -> bytes:
    return (RECORDED / f"{name}.cdr.{ending}").read_bytes()


def raw_tree(name: str = ANSWERED) -> dict[str, Any]:
    """A recorded document as the module has it before anything is encoded."""
    tree: dict[str, Any] = json.loads(recorded(name))
    tree["variables"] = {key: unquote(value) for key, value in tree["variables"].items()}
    return tree


def changed(tree: dict[str, Any], profile: Mapping[str, str] = {}, /, **variables: str) -> dict[str, Any]:
    """The tree with other variables, and another newest profile. An empty variable is one that is not there."""
    newest = {**tree["callflow"][0], "caller_profile": tree["callflow"][0]["caller_profile"] | profile}
    values = {name: value for name, value in (tree["variables"] | variables).items() if value}
    return tree | {"variables": values, "callflow": [newest, *tree["callflow"][1:]]}


def json_document(tree: Mapping[str, Any], *, values: bool) -> bytes:
    """As cJSON prints it; ``values`` is encode-values. Lone bytes are what surrogates stand for."""
    variables = tree["variables"]
    if values:
        variables = {
            name: _text(url_encoded(_bytes(value), 3 * len(_bytes(value)))) for name, value in variables.items()
        }
    said = json.dumps({**tree, "variables": variables}, ensure_ascii=False, separators=(",", ":"))
    return _bytes(said)


def xml_document(tree: Mapping[str, Any]) -> bytes:
    """As mod_xml_cdr does, but for what nobody reads."""
    variables = "".join(
        f"    <{name}>{_text(url_encoded(_bytes(value), 3 * len(_bytes(value)) + 1))}</{name}>\n"
        for name, value in tree["variables"].items()
    )
    flows = "".join(
        "  <callflow>\n    <caller_profile>\n"
        + "".join(
            f"      <{k}>{_ampersands(v)}</{k}>\n" for k, v in flow["caller_profile"].items() if isinstance(v, str)
        )
        + "    </caller_profile>\n    <times>\n"
        + "".join(f"      <{name}>{value}</{name}>\n" for name, value in flow["times"].items())
        + "    </times>\n  </callflow>\n"
        for flow in tree["callflow"]
    )
    said = f'<?xml version="1.0"?>\n<cdr core-uuid="x" switchname="{tree["switchname"]}">\n  <variables>\n'
    return _bytes(f"{said}{variables}  </variables>\n{flows}</cdr>\n")


def _ampersands(value: str) -> str:
    """What is no UTF-8 is left out."""
    kept = _bytes(value).decode("utf-8", "ignore")
    for char, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot")):
        kept = kept.replace(char, f"&{name};")
    return "".join(char if ord(char) < 128 else f"&#x{ord(char):X};" for char in kept)


def posted(document: bytes, encode: str) -> bytes:
    """The body that a module with this `encode` posts: none, true, base64, textxml."""
    if encode in ("none", "textxml"):
        plain_form = encode == "none" and document.startswith(b"<")
        return b"cdr=" * plain_form + document
    return b"cdr=" + left(document, encode)


def left(document: bytes, encode: str) -> bytes:
    """What stays in err-log-dir."""
    if encode == "true":
        return url_encoded(document, 3 * len(document) + 1, twice=document.startswith(b"<"))
    if encode == "base64":
        return base64.b64encode(document)
    return document


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
