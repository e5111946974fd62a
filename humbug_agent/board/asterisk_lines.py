"""Trunks and phones of an Asterisk: asked for rarely, and between that kept true by what it tells of them.

Source of the formats: recorded from Asterisk 16 and 22. PJSIPShowEndpoints has the contacts of an endpoint, fixed ones
and those that phones have registered; PJSIPShowContacts the latter alone. Events about them are of the class system.
"""

import time
from collections.abc import Iterable, Iterator

from humbug_agent.board.lines import Line, Lines, told_apart
from humbug_agent.board.model import Board
from humbug_agent.host.pbx_first import PHONES_SECONDS, STIRRED_SECONDS, TRUNKS_SECONDS
from humbug_agent.listening.ami.headers import Headers, name
from humbug_agent.listening.ami.protocol import TOLD

REGISTRATIONS, ENDPOINTS, CONTACTS = "PJSIPShowRegistrationsOutbound", "PJSIPShowEndpoints", "PJSIPShowContacts"
TRUNKS = (REGISTRATIONS, "SIPshowregistry", "IAXregistry")
PHONES = (ENDPOINTS, CONTACTS, "SIPpeers", "IAXpeerlist")

_ID = f"{TOLD}lines-"
ANSWER = f"\r\nActionID: {_ID}".encode()
"""What an answer to one of these has in it."""

_ITEMS = ("OutboundRegistrationDetail", "RegistryEntry", "EndpointList", "ContactList", "PeerEntry")
_DENIED = "Permission denied"
_PORTS = {"SIP": "5060", "IAX2": "4569"}
_NO_ADDRESS = ("", "-none-", "(null)", "(Unspecified)")
_TOLD_STATES = {
    "Registered": ("registered", True),
    "Reachable": ("registered", True),
    "Lagged": ("registered", True),
    "Unreachable": ("unavailable", False),
    "Rejected": ("rejected", False),
    "Unregistered": ("not registered", False),
}


class AsteriskLines:
    """Puts them on ``board``, once every question has been answered. ``user`` is the AMI user.

    ``private`` says that nobody else reads the connection: with its registrations PJSIP sends their passwords, too,
    which are kept nowhere here.
    """

    def __init__(self, board: Board, user: str, charset: str, *, private: bool) -> None:
        self._board = board
        self._user = user
        self._charset = charset
        self._unasked = set() if private else {REGISTRATIONS}
        self.forget()

    def forget(self) -> None:
        """It is another connection, of which nothing is known yet."""
        self._due = {TRUNKS: float("-inf"), PHONES: float("-inf")}
        self._stirred = float("-inf")
        self._denied: set[str] = set()
        self._coming: dict[str, list[Headers]] = {}
        self._found: dict[str, list[Headers]] = {}
        self._asked = 0.0
        # Endpoint -> the contacts that phones have registered; endpoints that are known to be phones; device -> what
        # was told of it since it was listed.
        self._contacts: dict[str, set[str]] = {}
        self._phones: set[str] = set()
        self._told: dict[str, tuple[str, bool]] = {}
        self._board.put_lines(None)

    def question(self, now: float) -> bytes:
        """What is due to be asked, for a connection; ``now`` is monotonic."""
        asked = b""
        for actions, seconds in ((TRUNKS, TRUNKS_SECONDS), (PHONES, PHONES_SECONDS)):
            if now < self._due[actions]:
                continue
            self._due[actions], self._asked = now + seconds, now
            for action in actions:
                # A right that is lacking stays so as long as the connection.
                if action not in self._denied | self._unasked:
                    self._coming[action] = []
                    asked += f"Action: {action}\r\nActionID: {_ID}{action}\r\n\r\n".encode()
        return asked

    def take(self, block: bytes) -> None:
        """One message of an answer."""
        said, event = Headers(block, self._charset), name(block)
        action = said("ActionID").removeprefix(_ID)
        if action not in self._coming:
            return
        if event in _ITEMS:
            self._coming[action].append(said)
        elif block.startswith(b"Response: Error"):
            # A channel driver that is not loaded, or one that has none of these, says so, too.
            if said("Message") == _DENIED:
                self._denied.add(action)
            self._take_all(action)
        elif said("EventList") == "Complete":
            self._take_all(action)

    def _take_all(self, action: str) -> None:
        self._found[action] = self._coming.pop(action)
        if action == CONTACTS:
            self._contacts = {}
            for said in self._found[CONTACTS]:
                self._contacts.setdefault(said("Endpoint"), set()).add(said("Uri"))
        if action in PHONES:
            technology = {"SIPpeers": "SIP/", "IAXpeerlist": "IAX2/"}.get(action, "PJSIP/")
            self._told = {device: told for device, told in self._told.items() if not device.startswith(technology)}
        self._put()

    # What the events mean.

    def registry(self, said: Headers) -> None:
        """It names no trunk, so all are asked for: of many such events, now and then."""
        now = time.monotonic()
        self._due[TRUNKS] = min(self._due[TRUNKS], max(now, self._stirred + STIRRED_SECONDS))
        self._stirred = self._due[TRUNKS]

    def peer(self, said: Headers) -> None:
        if told := _TOLD_STATES.get(said("PeerStatus")):
            self._told[said("Peer")] = told
            self._put()

    def contact(self, said: Headers) -> None:
        endpoint = said("EndpointName")
        contacts = self._contacts.setdefault(endpoint, set())
        if said("ContactStatus") == "Removed":
            contacts.discard(said("URI"))
        elif endpoint in self._phones:
            contacts.add(said("URI"))
        self._put()

    # How it does it.

    def _put(self) -> None:
        if not {*TRUNKS, *PHONES} - self._denied - self._unasked <= self._found.keys():
            return
        endpoints = {one.name: one for one in self._endpoints()}
        registrations = list(self._registrations(endpoints))
        covered = {one.device for one in registrations}
        others = [*self._peers("SIPpeers", "SIP"), *self._peers("IAXpeerlist", "IAX2")]
        found = [*registrations, *(one for one in endpoints.values() if one.device not in covered), *others]
        told = not self._denied & set(PHONES)
        phones = told or any(not one.trunk for one in found)
        self._board.put_lines(Lines(tuple(told_apart(found)), self._asked, tuple(self._lacks()), phones_told=phones))

    def _lacks(self) -> Iterator[str]:
        section = f"in manager.conf, section [{self._user}], write needs"
        if {ENDPOINTS, CONTACTS} & self._denied:
            yield f"PJSIP's phones and fixed trunks are not told: {section} system, too (which permits Reload as well)"
        if self._denied - {ENDPOINTS, CONTACTS}:
            yield f"{', '.join(sorted(self._denied - {ENDPOINTS, CONTACTS}))} is not permitted: {section} reporting"
        if self._unasked:
            yield (
                "PJSIP's registrations are not asked for: Asterisk would send their passwords with them, which others "
                "can read on the way; tls = yes in agent.ini hides them"
            )

    def _endpoints(self) -> Iterator[Line]:
        # Fixed is what no phone has ever registered.
        registered = {uri for uris in self._contacts.values() for uri in uris}
        for said in self._found.get(ENDPOINTS, ()):
            endpoint = said("ObjectName")
            contacts = [one.partition("/")[2] for one in said("Contacts").split(",") if one]
            if said("Aor") and (not contacts or registered & set(contacts)):
                self._phones.add(endpoint)
            trunk = endpoint not in self._phones
            if not said("Aor"):
                continue
            device = f"PJSIP/{endpoint}"
            _, up = self._told.get(device) or ("", said("DeviceState") not in ("Unavailable", "Invalid"))
            here = trunk or bool(self._contacts.get(endpoint))
            state = ("available" if trunk else "registered") if up else "unavailable"
            yield _line(device, trunk, state if here else "not registered", up and here)

    def _registrations(self, endpoints: dict[str, Line]) -> Iterator[Line]:
        for said in self._found.get(REGISTRATIONS, ()):
            registration = said("ObjectName")
            endpoint = said("Endpoint") or (registration if registration in endpoints else "")
            state = said("Status").casefold()
            up = state == "registered"
            if up and endpoint in endpoints and endpoints[endpoint].up is False:
                state, up = endpoints[endpoint].state, False
            device = f"PJSIP/{endpoint}" if endpoint else ""
            # The endpoint of its name is another trunk.
            another = registration in endpoints and endpoint != registration
            called = f"{registration} ({endpoint})" if another else registration
            yield Line(technology="PJSIP", name=called, trunk=True, state=state, up=up, device=device)
        for technology, action in (("SIP", "SIPshowregistry"), ("IAX2", "IAXregistry")):
            for said in self._found.get(action, ()):
                host, _, port = (
                    said("Host").partition(":") if technology == "IAX2" else (said("Host"), "", said("Port"))
                )
                where = host if port in ("", _PORTS[technology]) else f"{host}:{port}"
                state = said("State").casefold()
                yield Line(
                    technology=technology,
                    name=f"{said('Username')}@{where}",
                    trunk=True,
                    state=state,
                    up=state == "registered",
                )

    def _peers(self, action: str, technology: str) -> Iterable[Line]:
        for said in self._found.get(action, ()):
            device, trunk = f"{technology}/{said('ObjectName')}", said("Dynamic") != "yes"
            state, up = self._told.get(device) or _peer_state(said, trunk)
            yield _line(device, trunk, "available" if trunk and up else state, up)


def _line(device: str, trunk: bool, state: str, up: bool | None) -> Line:
    technology, _, named = device.partition("/")
    return Line(technology=technology, name=named, trunk=trunk, state=state, up=up, device=device)


def _peer_state(said: Headers, trunk: bool) -> tuple[str, bool | None]:
    """A PeerEntry's, with whether it is there."""
    status = said("Status")
    if not trunk and said("IPaddress") in _NO_ADDRESS:
        return "not registered", False
    if status == "UNREACHABLE":
        return "unavailable", False
    if status.startswith(("OK", "LAGGED")) or not trunk:
        return "registered", True
    return ("not monitored" if status == "Unmonitored" else "unknown"), None
