"""Forms as clients post them: urlencoded, whatever they say of it, or multipart/form-data (RFC 7578).

``curl -F`` and PHP's cURL, given an array, post the latter.
"""

import re
from collections.abc import Iterator
from email.message import Message
from urllib.parse import parse_qsl

from humbug_agent.http_server.bodies import Refused

_NAME = re.compile(rb'^content-disposition:[^\r\n]*;[ \t]*name=(?:"([^"\r\n]*)"|([^;"\s]*))', re.I | re.M)


def form(content_type: str, body: bytes) -> dict[str, str]:
    """The fields that are not blank; of one that stands there twice the last. Raises Refused where it is no form."""
    said = Message()
    said["content-type"] = content_type
    if said.get_content_type() == "multipart/form-data":
        found = list(_parts(str(said.get_boundary("")), body))
    else:
        found = parse_qsl(body.decode(errors="replace"), keep_blank_values=True) if b"=" in body else []
    if body and not found:
        raise Refused(415, "ERROR: NOT A FORM\nIt is to be application/x-www-form-urlencoded, or multipart/form-data.")
    return {name: value for name, value in found if value}


def _parts(boundary: str, body: bytes) -> Iterator[tuple[str, str]]:
    """Each part's name and value. What stands before the first boundary, and behind the last one, is none."""
    if not boundary:
        return
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode(errors="replace"))[1:]:
        if part.startswith(b"--"):
            return
        head, blank, value = part.partition(b"\r\n\r\n")
        if blank and (named := _NAME.search(head)):
            yield (named[1] or named[2] or b"").decode(errors="replace"), value.decode(errors="replace")
