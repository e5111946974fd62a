"""Journeys: the calls that the PBX wrote of one story, from the caller's first queue to the last transfer.

What ties them is the linkedid, which is the uniqueid of the story's first channel. Of calls without one, only those of
one channel are known to belong together: their uniqueid is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from humbug_agent.cdr import CDR, wall_clock
from humbug_agent.flat import CALL, Flat, whole
from humbug_agent.outbox import rows
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.words import count

MOST_CALLS = 500
"""Of one journey that are told: one of more is no story, but a PBX that has one linkedid for all."""

LINKEDID, UNIQUEID, NOTHING = "linkedid", "uniqueid", "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """One story: ``calls`` with their ids in the outbox, in the order in which they began.

    They are ``tied`` by what: their linkedid, their uniqueid, or nothing; ``id`` is that, or blank. ``untold`` says of
    how many more there are that they are too many, or can't be read.
    """

    tied: str
    id: str
    calls: Sequence[tuple[int, CDR]]
    untold: str

    @property
    def note(self) -> str:
        """What is not known of it, in a sentence or two; blank where nothing lacks."""
        lacks = {
            LINKEDID: "",
            UNIQUEID: "The PBX told no linkedid: these are the calls of one channel, and what went over another one, "
            "such as a transfer, may be missing",
            NOTHING: "The PBX told neither a linkedid nor a uniqueid: what else belongs to this call is not known",
        }[self.tied]
        return ". ".join(said for said in (lacks, self.untold) if said)

    def as_json(self, zone: tzinfo) -> dict[str, object]:
        """Times as the PBX's clock showed them; ``after_seconds`` is from the beginning of the first call."""
        first = self.calls[0][1].start if self.calls else None
        return {
            "tied_by": self.tied,
            "id": self.id,
            "note": self.note,
            "calls": [
                {
                    "id": number,
                    "start": wall_clock(call.start, zone).isoformat(),
                    "after_seconds": int((call.start - first).total_seconds()) if first else 0,
                    "src": call.src,
                    "dst": call.dst,
                    "clid": call.clid,
                    "disposition": call.disposition.value,
                    "duration": call.duration,
                    "billsec": call.billsec,
                    "lastapp": call.lastapp,
                    "lastdata": call.lastdata,
                    "channel": call.channel,
                    "dstchannel": call.dstchannel,
                    "uniqueid": call.uniqueid,
                }
                for number, call in self.calls
            ],
        }


def of_call(outbox: Outbox, number: int) -> Journey | None:
    """The journey of which the call with this id is a part; None where there is no such call."""
    found = outbox.select(f"SELECT {rows.as_texts('linkedid uniqueid')} FROM calls WHERE id = ?", number)
    if not found:
        return None
    if ident := found[0]["linkedid"] or found[0]["uniqueid"]:
        return named(outbox, ident)
    return _journey(NOTHING, "", _calls(outbox, "SELECT ?1", number))


def named(outbox: Outbox, ident: str) -> Journey | None:
    """The journey with this linkedid, or of which a channel has this uniqueid; None where no call is known of it.

    A blank is neither.
    """
    own = outbox.select(
        f"SELECT {rows.as_texts('linkedid')} FROM calls WHERE uniqueid = ? AND linkedid <> '' LIMIT 1", ident
    )
    linkedid = str(own[0]["linkedid"]) if own else ident
    # Those of the first channel have it as their uniqueid, also where they say no linkedid.
    by_linkedid = "SELECT id FROM calls WHERE linkedid = ?1 AND linkedid <> ''"
    found = _calls(outbox, f"{by_linkedid} UNION SELECT id FROM calls WHERE uniqueid = ?1 AND ?1 <> ''", linkedid)
    tied = LINKEDID if any(flat.linkedid for _, flat in found) else UNIQUEID
    return _journey(tied, linkedid, found) if found else None


def _journey(tied: str, ident: str, found: Sequence[tuple[int, Flat]]) -> Journey:
    read = [(number, call) for number, flat in found[:MOST_CALLS] if isinstance(call := whole(flat), CDR)]
    damaged = len(found[:MOST_CALLS]) - len(read)
    said = [f"There are more than these {MOST_CALLS}"] if len(found) > MOST_CALLS else []
    said += [f"{count(damaged, 'call')} can't be read, the outbox is damaged"] if damaged else []
    return Journey(tied=tied, id=ident, calls=read, untold=". ".join(said))


def _calls(outbox: Outbox, ids: str, parameter: object) -> list[tuple[int, Flat]]:
    sql = (
        f"SELECT id AS number, {rows.COLUMNS} FROM calls WHERE id IN ({ids}) AND event = ?2 ORDER BY start, id LIMIT ?3"
    )
    found = outbox.select(sql, parameter, CALL, MOST_CALLS + 1)
    return [(row["number"], Flat._make(row[name] for name in Flat._fields)) for row in found]
