"""What FusionPBX's import keeps of an XML document: PHP's json_encode of the object that SimpleXML makes of it."""

import json
from typing import Any
from xml.etree import ElementTree


def kept(xml: bytes) -> bytes:
    """As of PHP 8: an element that is empty is an object, one that stands there again a list, and there are attributes.

    The slash is escaped, and so is all that is not ASCII.
    """
    return json.dumps(_object(ElementTree.fromstring(xml))).replace("/", "\\/").encode()


def _object(element: ElementTree.Element) -> Any:
    found: dict[str, Any] = {"@attributes": dict(element.attrib)} if element.attrib else {}
    for child in element:
        value = _object(child)
        if child.tag not in found:
            found[child.tag] = value
        elif isinstance(found[child.tag], list):
            found[child.tag].append(value)
        else:
            found[child.tag] = [found[child.tag], value]
    return found or element.text or {}
