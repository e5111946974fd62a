"""The bytes that an AMI sends behind its greeting -> its messages, each as the bytes before its blank line.

A message ends in CR LF CR LF. Some end otherwise: in CR LF LF (asterisk #761), in nothing at all (PAMI #13), in the
midst of a line (PAMI #119); and where a proxy or a script is in between, each line may end in LF alone. So a line that
begins like a message begins one. Not so behind the beginning of a Cdr event: its values are not escaped, and may hold
such lines. What is glued to it, up to the blank line, stays with it, for whoever knows which headers it must have.
"""

import re

END = b"\r\n\r\n"
CDR = b"Event: Cdr"
"""How a Cdr event begins, whole or torn: no other event's name begins so."""

_ONLY_OF_CDR = (b"UserField:", b"BillableSeconds:", b"LastApplication:", b"DestinationContext:")
"""Lines that no other message has, by which the rest of a Cdr event is known that has lost its beginning."""

_BEGINS = rb"(?=Event: |Response: )"
_BLANK_LF = re.compile(rb"\n\r?\n")
_BEHIND_CDR = re.compile(rb"\r\n\n+" + _BEGINS)
# A Response without a blank line before it may be a header: OriginateResponse has one.
_BEHIND = re.compile(rb"\n[\r\n]*(?=Event: )|\n\r?\n[\r\n]*(?=Response: )|(?=Event: Cdr\r?\nPrivilege: )")
_LF_ENDED = re.compile(rb"(?:Event|Response): [^\r\n]*\n")
_LINE_END = re.compile(rb"\r?\n")


def divide(data: bytes, *, closed: bool) -> tuple[list[bytes], bytes]:
    """The messages in ``data``, which has no `END` in it, and what is left because it may go on.

    ``closed`` says that nothing belongs to it any more. The same bytes are the same messages, however they come.
    """
    found: list[bytes] = []
    at = _skip(data, 0)
    while at < len(data):
        lf_ended = _LF_ENDED.match(data, at)
        behind = _BLANK_LF if lf_ended else _BEHIND_CDR if data.startswith(CDR, at) else _BEHIND
        # Where it begins itself is no end.
        end = behind.search(data, at + 1)
        if not (end or closed):
            break
        message = data[at : end.start() if end else len(data)]
        if lf_ended:
            found += divide(_LINE_END.sub(b"\r\n", message.rstrip(b"\r\n")), closed=True)[0]
        elif not (end and end.start() == end.end()):
            found.append(message)
        elif of_cdr(message):
            # Torn in the midst of a line; of others, half a message is worse than none.
            found.append(message)
        at = _skip(data, end.end()) if end else len(data)
    return found, data[at:]


def odd(data: bytes) -> bool:
    """Whether it may be something else than one event with its lines ended as they should be. Asked of every message,
    in a flood tens of thousands of times a second: what it looks for is as short as may be.
    """
    return (
        not data.startswith(b"Event: ")
        or data.find(b"\nEv", 7) >= 0
        or b"\nResp" in data
        or b"\n\r" in data
        or data.find(CDR, 1) >= 0
        or (b"\nUserF" in data and not data.startswith(CDR))
        or data[data.find(b"\n") - 1 : data.find(b"\n")] != b"\r"
    )


def of_cdr(message: bytes) -> bool:
    """Whether it is a Cdr event, or what is left of one. Of the rest of one that another event's beginning stands
    before, UserField is the last line.
    """
    if message.startswith(b"Event: "):
        return message.startswith(CDR) or b"\nUserField:" in message
    return message.startswith(_ONLY_OF_CDR) or any(b"\n" + line in message for line in _ONLY_OF_CDR)


def _skip(data: bytes, at: int) -> int:
    while data[at : at + 1] in (b"\r", b"\n"):
        at += 1
    return at
