"""Everything a FreeSWITCH has now, asked for once: its channels, and mod_callcenter's queues if it is loaded.

Events come over another connection, and the table of channels is behind them by some time. So a channel that an event
touched shortly before the question or since then stays as the events have it, and one that hung up stays gone.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from humbug_agent.board.device import device_names
from humbug_agent.board.freeswitch_words import Agent, Row, agent, connected, figures, listed, rows, table, whole
from humbug_agent.board.model import Board, Channel, Figures, QueueCall
from humbug_agent.listening.esl.listener import Api
from humbug_agent.text import text


class ListError(Exception):
    """What came is no such list; the text says so."""


@dataclass
class Listing:
    """One question and what came of it."""

    charset: str
    channels: list[Row] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)
    figures: dict[str, Figures] = field(default_factory=dict)
    members: list[Row] = field(default_factory=list)
    agents: dict[str, Agent] = field(default_factory=dict)
    tiers: list[tuple[str, str]] = field(default_factory=list)
    """Queue and agent."""

    async def ask(self, api: Api) -> None:
        """Raises EslError, ListError."""
        answer = await api("show channels as json")
        try:
            self.channels = rows(answer, self.charset)
        except (ValueError, RecursionError) as error:
            raise ListError(f"answers 'show channels as json' with {text(answer[:60], self.charset)!r}") from error
        for row in table(await api("callcenter_config queue list"), b"name", self.charset):
            self.queues.append(row["name"])
            if counted := figures(row):
                self.figures[row["name"]] = counted
        if not self.queues:
            return
        for row in table(await api("callcenter_config agent list"), b"name", self.charset):
            self.agents[row["name"]] = agent(row)
        for row in table(await api("callcenter_config tier list"), b"agent", self.charset, b"queue"):
            self.tiers.append((row["queue"], row["agent"]))
        count = Counter(name for _, name in self.tiers)
        self.agents = {name: replace(one, alone=count[name] == 1) for name, one in self.agents.items()}
        for queue in self.queues:
            # A blank or a line break would end the name, and begin something else.
            if not any(one.isspace() for one in queue):
                answer = await api(f"callcenter_config queue list members {queue}")
                self.members += table(answer, b"cid_name", self.charset)

    def apply(self, board: Board, touched: Collection[str], gone: Collection[str], queued: Collection[str]) -> None:
        """Put it on the board. ``touched`` and ``gone`` are channels, ``queued`` who joined or left a queue, since."""
        channels = self._channels(board, touched, gone)
        calls = {one: known for one in queued if one in channels and (known := board.call(one))}
        for row in self.members:
            uniqueid = row.get("session_uuid", "")
            # Of who gave up it has no session; of who just hung up no channel is left.
            if uniqueid in channels and uniqueid not in queued and (call := self._call(row, channels)):
                calls[uniqueid] = call
        members = [self.agents[agent].member(queue) for queue, agent in self.tiers if agent in self.agents]
        in_turn = sorted(calls.values(), key=lambda call: call.entered)
        board.replace(channels.values(), self.queues, in_turn, members, self.figures)

    def _channels(self, board: Board, touched: Collection[str], gone: Collection[str]) -> dict[str, Channel]:
        found: dict[str, Channel] = {}
        links = _links(self.channels)
        for row in self.channels:
            uniqueid = row["uuid"]
            if uniqueid in gone or row["callstate"] == "HANGUP":
                continue
            known = board.channel(uniqueid)
            if known and uniqueid in touched:
                told = row.get("application", "") or known.application, row.get("accountcode", "") or known.account
                found[uniqueid] = replace(known, application=told[0], account=told[1])
            else:
                link = links.get(uniqueid) or (known.linkedid if known else uniqueid)
                found[uniqueid] = listed(row, known, link)
        for uniqueid in touched:
            if uniqueid not in gone and (known := board.channel(uniqueid)):
                found.setdefault(uniqueid, known)
        return found

    def _call(self, row: Row, channels: Mapping[str, Channel]) -> QueueCall | None:
        who = channels[row["session_uuid"]]
        call = QueueCall(
            uniqueid=who.uniqueid,
            queue=row.get("queue", ""),
            channel=who.channel,
            number=row.get("cid_number", ""),
            name=row.get("cid_name", ""),
            entered=float(whole(row, "joined_epoch")),
        )
        state = row.get("state", "")
        if state == "Answered":
            agent = self.agents.get(row.get("serving_agent", "")) or Agent(row.get("serving_agent", ""))
            at = channels.get(agent.session)
            return connected(
                call, device_names(at.channel)[0] if at else agent.device, agent.name, whole(row, "bridge_epoch")
            )
        return call if state in ("Waiting", "Trying") else None


def _links(rows: Collection[Row]) -> dict[str, str]:
    """Of each channel that belongs to another one's call: that one, over as many steps as it takes."""
    links = {row["uuid"]: row["call_uuid"] for row in rows if row.get("call_uuid") not in (None, "", row["uuid"])}
    halves = {(row["name"], row.get("cid_num")): row["uuid"] for row in rows if row["name"].startswith("loopback/")}
    for (name, number), uniqueid in halves.items():
        if name.endswith("-b") and (near := halves.get((f"{name[:-1]}a", number))):
            links[uniqueid] = near
    found = {}
    for uniqueid in links:
        at, seen = uniqueid, {uniqueid}
        while (further := links.get(at)) and further not in seen:
            at = further
            seen.add(at)
        found[uniqueid] = at
    return found
