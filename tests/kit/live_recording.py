"""What was recorded on an Asterisk with calls in every state, taken apart without the code that is tested."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from humbug_agent.listening.ami.protocol import TOLD
from tests.kit.host import RECORDED
from tests.kit.small_asterisk import Truth

AMI = RECORDED / "ami"
BANNER = b"Asterisk Call Manager/11.0.0\r\n"
STATES = {"Down": "down", "Ring": "ring", "Ringing": "ringing", "Up": "up"}
Said = dict[str, str]


def said(block: bytes) -> Said:
    """Its headers; nothing in this recording has one twice."""
    return dict(line.split(": ", 1) for line in block.decode(errors="replace").split("\r\n") if ": " in line)


@dataclass
class Round:
    """One CoreShowChannels and, later, one QueueStatus: their ActionIDs, where they begin and end, what they say."""

    actions: list[str] = field(default_factory=list)
    begins: int = 0
    channels_end: int = 0
    queues_end: int = 0
    channels: list[Said] = field(default_factory=list)
    queues: list[Said] = field(default_factory=list)
    held: Said = field(default_factory=dict)
    """Of those whom an agent has answered: the seconds they waited, by uniqueid."""

    def truth(self) -> Truth:
        """In the words of `board_wire.shown`, but for callees; callers wait in the order of their positions."""
        bridges = {one["Uniqueid"]: one["BridgeId"] for one in self.channels}
        entries = [one for one in self.queues if one["Event"] == "QueueEntry"]
        return {
            "channels": {
                one["Uniqueid"]: (
                    *(one["Channel"], STATES[one["ChannelStateDesc"]], *_who(one, "CallerID")),
                    *(*_who(one, "ConnectedLine"), one["AccountCode"], one["Exten"]),
                    *(one["BridgeId"], one["Linkedid"]),
                )
                for one in self.channels
            },
            "waiting": {
                one["Queue"]: [more["Uniqueid"] for more in entries if more["Queue"] == one["Queue"]] for one in entries
            },
            "connected": {
                one["Uniqueid"]: (one["ApplicationData"].split(",")[0], _device(peer))
                for one in self.channels
                if one["Application"] == "Queue"
                for peer in self.channels
                if peer is not one and one["BridgeId"] and bridges[peer["Uniqueid"]] == one["BridgeId"]
            },
            "members": {
                (one["Queue"], one["Location"]): (one["Name"], one["Status"], one["Paused"] == "1")
                for one in self.queues
                if one["Event"] == "QueueMember"
            },
        }


def _who(one: Said, of: str) -> tuple[str, str]:
    number, name = one[f"{of}Num"], re.sub(r"\\(.)", r"\1", one[f"{of}Name"])
    return number if number != "<unknown>" else "", name if name != "<unknown>" else ""


def _device(channel: Said) -> str:
    return re.sub(r"-[0-9a-f]{8}$", "", channel["Channel"])


@cache
def recording(confirmed: Sequence[int] = (0,)) -> tuple[bytes, tuple[Round, ...]]:
    """What came behind the login, and its rounds.

    The n-th of ``confirmed`` are answers to the n-th question of a feeder; what the others of these rounds say nobody
    has asked for. (Positions are in these bytes.)
    """
    _, _, data = (AMI / "ami-live.rx").read_bytes().partition(b"Message: Authentication accepted\r\n\r\n")
    for number, of in enumerate(confirmed, 1):
        for action, kind in zip(_rounds(data)[of].actions, ("channels", "queues"), strict=True):
            data = data.replace(f"ActionID: {action}\r\n".encode(), f"ActionID: {TOLD}{number}-{kind}\r\n".encode())
            # Where it is the last header, a blank line follows.
            assert f"ActionID: {action}\r".encode() not in data
    return data, tuple(_rounds(data))


def _rounds(data: bytes) -> list[Round]:
    rounds: list[Round] = []
    held: Said = {}
    for begin, end, one in _messages(data):
        now = rounds[-1] if rounds else Round()
        if one.get("Message") == "Channels will follow":
            rounds.append(Round([one["ActionID"]], begin, held=dict(held)))
        elif one.get("Message") == "Queue status will follow" and not now.queues_end and len(now.actions) == 1:
            # Once more it is asked for one queue alone.
            now.actions.append(one["ActionID"])
        elif one.get("Event") == "AgentConnect":
            held[one["Uniqueid"]] = one["HoldTime"]
        elif one.get("ActionID") in now.actions:
            is_channels = one["ActionID"] == now.actions[0]
            if one["Event"] == "CoreShowChannelsComplete":
                now.channels_end = end
            elif one["Event"] == "QueueStatusComplete":
                now.queues_end, now.held = end, dict(held)
            else:
                (now.channels if is_channels else now.queues).append(one)
    return rounds


def _messages(data: bytes) -> Iterator[tuple[int, int, Said]]:
    at = 0
    while (end := data.find(b"\r\n\r\n", at)) >= 0:
        yield at, end + 4, said(data[at:end])
        at = end + 4


def segments() -> list[int]:
    """In pieces of which sizes it came, what the login was answered with included."""
    lines = [line.split() for line in (AMI / "ami-live.idx").read_text().splitlines()]
    return [int(size) for _, way, _, size in lines if way == "r"]
