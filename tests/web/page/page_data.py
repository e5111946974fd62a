"""What /status.json may say: a PBX with two queues on an ordinary afternoon, and pieces to say it with."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from humbug_agent.status.document import DestinationStatus, OutboxStatus, SourceStatus, Status

Json = dict[str, Any]
THRESHOLDS = ("target", "warn_waiting", "critical_waiting", "warn_wait", "critical_wait")
NOW = "2026-11-21T14:03:07+01:00"
NOW_OF_AGENT = "2026-11-21T14:03:05+01:00"


def call(ident: int, **fields: Any) -> Json:
    usual = {
        "id": f"1795194317.{ident}", "from_number": "101", "from_name": "", "to_number": "204", "to_name": "",
        "state": "up", "since": "2026-11-21T14:02:55+01:00", "seconds": 12.3,
        "devices": ["PJSIP/101", "PJSIP/204"], "queue": "", "waiting_seconds": None, "waited_seconds": None,
        "position": None,
    }  # fmt: skip
    made: Json = usual | fields
    leg = {"state": made["state"], "number": made["from_number"], "name": "", "application": "Dial", "seconds": 12.3}
    return {"legs": [{"device": one, **leg} for one in made["devices"]], **made}


def waiting(ident: int, **fields: Any) -> Json:
    usual = {
        "id": f"1795194317.{ident}", "number": "+4915112345678", "name": "", "country": "Germany", "position": 1,
        "entered": "2026-11-21T14:02:25+01:00", "seconds": 42.1,
    }  # fmt: skip
    return usual | fields


def connected(ident: int, **fields: Any) -> Json:
    usual = {
        "id": f"1795194317.{ident}", "number": "+41442681234", "name": "", "country": "Switzerland",
        "entered": "2026-11-21T14:02:03+01:00", "waited_seconds": 3, "agent": "PJSIP/201",
        "agent_name": "Anna Agent", "since": "2026-11-21T14:02:06+01:00", "seconds": 61.0,
    }  # fmt: skip
    return usual | fields


def member(name: str, interface: str, state: str, reason: str | None = None, **fields: Any) -> Json:
    usual = {
        "name": name, "interface": interface, "state": state, "paused": reason is not None, "reason": reason or "",
        "state_seconds": 61.0, "penalty": 0, "calls_taken": 7, "last_call_seconds": 754.0, "last_pause_seconds": None,
        "login_seconds": 11520.0,
    }  # fmt: skip
    return usual | fields


def figures(**fields: Any) -> Json:
    usual = {
        "completed": 128, "abandoned": 9, "hold_seconds": 17, "talk_seconds": 184, "service_level_percent": 82.5,
        "service_level_seconds": 30,
    }  # fmt: skip
    return usual | fields


def thresholds(**fields: int) -> Json:
    """Of them 0 is none."""
    return dict.fromkeys(THRESHOLDS, 0) | fields


def queue(name: str, waits: list[Json], talks: list[Json], members: list[Json], **fields: Any) -> Json:
    longest = max((one["seconds"] for one in waits), default=None)
    return {
        "name": name, "longest_wait_seconds": longest, "waiting": waits, "connected": talks, "figures": figures(),
        "members": members, "thresholds": thresholds(), **fields,
    }  # fmt: skip


def trunk(name: str, up: bool | None = True, state: str = "registered", **fields: Any) -> Json:
    usual = {"id": f"PJSIP/{name}", "name": name, "technology": "PJSIP", "state": state, "up": up, "channels": 2}
    return usual | fields


def lines(*trunks: Json, **fields: Any) -> Json:
    phones = {"registered": 41, "all": 43, "missing": ["PJSIP/205", "PJSIP/231"]}
    return {"trunks": list(trunks), "phones": phones, "lacks": [], "age_seconds": 41.0, **fields}


def board(name: str = "ami", calls: list[Json] | None = None, queues: list[Json] | None = None) -> Json:
    waits = {one["id"]: one for each in queues or [] for one in each["waiting"]}
    waited = {one["id"]: one["waited_seconds"] for each in queues or [] for one in each["connected"]}
    calls = [{**one, "waiting": False, "waited_seconds": waited.get(one["id"])} for one in calls or []]
    for one in calls:
        if there := waits.get(one["id"]):
            one |= {"waiting": True, "waiting_seconds": there["seconds"], "position": there["position"]}
    return {
        "name": name, "over": "AMI", "live": True, "message": "", "age_seconds": 3.2, "calls": calls,
        "channels": sum(len(one["devices"]) for one in calls), "queues": queues or [], "lines": None,
    }  # fmt: skip


def board_down(name: str = "ami", message: str = "cannot connect to 127.0.0.1:5038: Connection refused") -> Json:
    return board(name) | {"live": False, "message": message, "age_seconds": 95.0}


SOURCE = SourceStatus(
    state="ok", message="", since="2026-11-20T07:58:11+01:00", code="", calls=31207, rejects=0, rejects_ever=0,
    rejects_unkept=0, unread_bytes=0, unread_seconds=None, last_read="2026-11-21T14:02:26+01:00", age_seconds=41,
    cursor="",
)  # fmt: skip
DESTINATION = DestinationStatus(
    state="ok", message="", since="2026-11-20T07:58:11+01:00", code="", waiting=0, sent=31207, dead=0,
    oldest_waiting=None, oldest_waiting_seconds=None, last_error="", last_error_at=None, last_error_outdated=False,
)  # fmt: skip
OUTBOX = OutboxStatus(path="/var/lib/humbug-agent/outbox.db", used_bytes=13002342, max_bytes=2048 * 2**20)


def source(**fields: Any) -> Json:
    return asdict(replace(SOURCE, **fields))


def destination(**fields: Any) -> Json:
    return asdict(replace(DESTINATION, **fields))


def agent(sources: Mapping[str, Json] | None = None, destinations: Mapping[str, Json] | None = None) -> Json:
    if sources is None:
        sources = {"master-csv": source(), "ami": source(calls=31198, unread_bytes=None, age_seconds=42)}
    destinations = {"humbug": destination()} if destinations is None else destinations
    usual = Status(
        running=True, pid=714, outbox=OUTBOX, calls=31207, untaken=0, last_untaken=None, rejects=0,
        deliveries={s: sum(one[s] for one in destinations.values()) for s in ("waiting", "sent", "dead")},
        sources={}, sightings=[], destinations={}, page=None, api=None, boards={}, findings=[],
    )  # fmt: skip
    said = {"sources": dict(sources), "destinations": dict(destinations), "as_of": NOW_OF_AGENT, "error": ""}
    return usual.as_json() | said


def agent_unknown(error: str) -> Json:
    return {"as_of": NOW, "error": error}


MINUTES: list[int | None] = [
    *[None] * 6, 4, 7, 3, 9, 12, 8, 0, 5, 6, 11, 14, 9, 10, 13, 7, 18, 21, 16, 12, 9, 14, 17, 23, 19, 25, 31, 28, 22,
    17, 20, 15, 11, 0, 0, 13, 42, 27, 18, 16, 12, 19, 21, 15, 10, 8, 14, 16, 12, 9, 11, 13, 15, 12, 4,
]  # fmt: skip


def status(boards: list[Json], the_agent: Json | None = None) -> Json:
    return {
        "now": NOW, "version": "0.1.0", "boards": boards, "agent": the_agent or agent(),
        "sent_per_minute": {"humbug": MINUTES},
    }  # fmt: skip


def afternoon() -> Json:
    calls = [
        call(1201, from_number="+41442681234", from_name="", to_number="201", to_name="Anna Agent", queue="support",
             seconds=64.2, since="2026-11-21T14:02:03+01:00"),
        call(1203, from_number="+442079460123", from_name="Lambeth Dental", to_number="202", to_name="Bruno Keller",
             queue="sales", seconds=312.8, since="2026-11-21T13:57:54+01:00"),
        call(1205, from_number="+4915112345678", to_number="801", to_name="", queue="support", devices=["PJSIP/trunk"],
             seconds=42.1, since="2026-11-21T14:02:25+01:00"),
        call(1207, from_number="104", from_name="Reception", to_number="+41791234567", to_name="", seconds=158.0,
             since="2026-11-21T14:00:29+01:00"),
        call(1209, from_number="101", from_name="Desk 101", to_number="204", to_name="Dora Frei", state="ringing"),
        call(1211, from_number="+33142685300", to_number="801", queue="support", devices=["PJSIP/trunk"], seconds=9.4,
             since="2026-11-21T14:02:58+01:00"),
        call(1213, from_number="107", from_name="Workshop", to_number="0443214567", state="ring", devices=["PJSIP/107"],
             seconds=2.2, since="2026-11-21T14:03:05+01:00"),
    ]  # fmt: skip
    support = queue(
        "support",
        [waiting(1205), waiting(1211, number="+33142685300", country="France", position=2, seconds=9.4,
                                entered="2026-11-21T14:02:58+01:00")],
        [connected(1201)],
        [member("Anna Agent", "PJSIP/201", "in use"), member("Carla Rossi", "PJSIP/203", "idle", "lunch"),
         member("Emil Huber", "PJSIP/205", "unavailable", state_seconds=None, calls_taken=None)],
    )  # fmt: skip
    sales = queue(
        "sales",
        [],
        [connected(1203, number="+442079460123", name="Lambeth Dental", country="United Kingdom", waited_seconds=18,
                   agent="PJSIP/202", agent_name="Bruno Keller", seconds=294.0)],
        [member("Bruno Keller", "PJSIP/202", "in use"), member("Dora Frei", "PJSIP/204", "ringing", penalty=2),
         member("Finn Berger", "PJSIP/206", "idle", calls_taken=0, last_call_seconds=None)],
        figures=figures(completed=0, service_level_percent=None),
    )  # fmt: skip
    trunks = lines(trunk("provider", channels=4), trunk("berlin", channels=0), trunk("fax", None, "not monitored"))
    return status([board("ami", calls, [sales, support]) | {"lines": trunks}])


def rush(calls: int = 500, waits: int = 500) -> Json:
    """More than anyone looks at: a thousand channels."""
    return status(
        [
            board(
                "ami",
                [call(n, from_number=f"+41{n:09}", from_name=f"Caller {n}", seconds=n) for n in range(calls)],
                [queue("support", [waiting(9000 + n, position=n + 1, seconds=900 - n) for n in range(waits)], [], [])],
            )
        ]
    )
