"""What a document of mod_json_cdr, mod_format_cdr or mod_xml_cdr says about a leg."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo
from urllib.parse import unquote_to_bytes

from humbug_agent.sources.freeswitch.document_leg import made
from humbug_agent.sources.freeswitch.forms import Document, opened
from humbug_agent.sources.freeswitch.leg import Leg
from humbug_agent.text import AUTO, text

_UNSAFE = re.compile(r"""[\r\n "#&+:;<=>?@\[\\\]^`{|}]""")
"""What FreeSWITCH encodes when it encodes a value, but for the percent sign and bytes beyond ASCII."""

_STAMPS = ("start_stamp", "end_stamp", "answer_stamp")

_WHOLLY_ENCODED = re.compile(r"(?:%[0-9A-F]{2})+")
_CALLER_ID = re.compile(r'"(.*)" <(.*)>', re.DOTALL)


def leg(raw: bytes, zone: tzinfo, charset: str = AUTO) -> Leg:
    """``zone`` is FreeSWITCH's, for documents that have no epochs. Raises ValueError, which says what is wrong with it.

    Who was called is the newest callflow's: after a transfer the new destination, as in mod_cdr_csv's rows.
    """
    document = opened(raw, charset)
    if not document.profile:
        raise ValueError("has no callflow, which says who called whom")
    variables = decoded(document.variables, document.charset)
    name, number = _caller(document, variables)
    profile = {**document.profile, "caller_id_name": name, "caller_id_number": number}
    return made(replace(document, variables=variables, profile=profile), zone)


def decoded(variables: Mapping[str, str], charset: str) -> Mapping[str, str]:
    """The values without percent-encoding, if that is what encode-values=true made of them.

    All are encoded or none is. A stamp has a blank in it, and is nothing that a caller chooses.
    """
    stamp = next((variables[name] for name in _STAMPS if variables.get(name)), None)
    if " " in stamp if stamp else any(_UNSAFE.search(value) for value in variables.values()):
        return variables
    return {name: _decoded(value, charset) if "%" in value else value for name, value in variables.items()}


def _decoded(value: str, charset: str) -> str:
    raw = unquote_to_bytes(value)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        # mod_json_cdr has no room for the last byte of a value that is encoded throughout.
        if charset == AUTO and _WHOLLY_ENCODED.fullmatch(value) and error.reason == "unexpected end of data":
            raw = raw[: error.start]
    return text(raw, charset).replace("\0", "")


def _caller(document: Document, variables: Mapping[str, str]) -> tuple[str, str]:
    """The caller's name and number."""
    profile = document.profile
    found = profile.get("caller_id_name", ""), profile.get("caller_id_number", "")
    # mod_xml_cdr leaves bytes that are no UTF-8 out of the profile. The variable still has them.
    if document.is_xml and not _is_utf8(document.variables.get("caller_id", "")):
        whole = _CALLER_ID.fullmatch(variables.get("caller_id", ""))
        return (whole[1], whole[2]) if whole else found
    return found


def _is_utf8(value: str) -> bool:
    try:
        unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        return False
    return True
