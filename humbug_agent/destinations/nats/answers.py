"""What JetStream's answer to a message means for the call.

Source of the numbers: server/errors.json of nats-server.
"""

import json
from typing import Any

from humbug_agent.destinations.contract import Answer, Later, Misconfigured, Outcome, Refused

STORED, THERE = Answer(None, "stored"), Answer(None, "was there already")

WRONG_LAST_SEQUENCE = 10071
STORE_FAILED = 10077
"""Any limit of the stream: that of its messages of one subject as well."""

PER_SUBJECT = "per subject"
TOO_LARGE = (10054, 10097)
"""For the stream, and in its headers."""

OTHER_STREAM = 10060


def judged(data: bytes, status: str | None, where: str, subject: str) -> Outcome:
    """``data`` is the answer's, ``status`` that of its header: 503 where nobody listens to the subject."""
    if status == "503":
        return Later(f"{where}: no stream took {subject}; has it this subject, and a leader?")
    try:
        said: dict[str, Any] = json.loads(data)
        error = said.get("error")
        if error is None:
            # What comes of no stream is no acknowledgement.
            return (THERE if said.get("duplicate") else STORED) if said["seq"] else Later(f"{where}: odd answer")
        number, code, words = int(error.get("err_code", 0)), int(error["code"]), str(error.get("description", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Later(f"{where}: its answer is no acknowledgement")
    if number == WRONG_LAST_SEQUENCE or (number == STORE_FAILED and PER_SUBJECT in words):
        # The subject is this call's alone: what is there is this call.
        return THERE
    text = f"{where}: {words} ({number or code})"
    if number in TOO_LARGE:
        return Refused(text)
    if number == OTHER_STREAM:
        return Misconfigured(f"{text}; another stream has the subject {subject}")
    if number == STORE_FAILED or code >= 500:
        return Later(text)
    return Misconfigured(text)
