"""What the words and codes of a PostgreSQL server mean for the calls.

Source of the codes: the appendix "PostgreSQL Error Codes" of its manual.
"""

import re
from typing import NamedTuple

from humbug_agent.destinations.contract import DeliveryError, Later, Misconfigured, Refused

LONGEST = 300
"""Characters of a server's words that are kept."""

PASSING = re.compile(
    r"starting up|shutting down|recovery mode|recovery state|not yet accepting|too many (?:clients|connections)|"
    r"connection slots|server closed the connection",
)
"""Of what a server says to whoever connects: it is there, and takes nobody now. Only its words say so."""

LASTING = re.compile(r"\bFATAL\b|certificate|\bSSL\b|\bTLS\b|no password supplied|authentication")
"""The rest of what it says to whoever connects, and what libpq says of TLS and passwords: no call would get through."""

LASTING_CLASSES = ("0A", "0L", "28", "3D", "3F", "42")
"""Not supported, grants, logging in, no such database, no such schema, names and rights."""

OF_THE_ROW = ("22", "23", "44", "54", "P0")
"""Data, constraints, views that check, limits, and what a trigger raises."""

NO_TABLE, NO_RIGHT = "42P01", "42501"

HINTS = {
    NO_TABLE: "; make it as docs/destinations/postgresql.md has it, or set create = yes",
    "42P10": "; the table needs a unique index on (pbx, identity)",
    NO_RIGHT: "; the user needs INSERT and SELECT on the table, and CREATE on its schema for create = yes",
    "42703": "; the table has been changed",
    "42804": "; a column of the table has another type than docs/destinations/postgresql.md says",
    "25006": "; is it a standby?",
}


class Failure(NamedTuple):
    """What a statement ended with: its SQLSTATE, blank where the connection was lost, and its words."""

    state: str
    text: str


class Trouble(NamedTuple):
    """Why there is no connection, in one line. ``lasting``: before the settings, or the server's, are changed."""

    text: str
    lasting: bool


def of_connecting(said: str) -> Trouble:
    """What libpq said, which may be several lines, one for each way that it tried."""
    text = _one_line(said)
    return Trouble(text, bool(LASTING.search(text)) and not PASSING.search(text))


def of_statement(failure: Failure, where: str) -> DeliveryError:
    state, said = failure.state, _one_line(failure.text)
    if not state:
        return Later(f"{where}: the connection was lost: {said}")
    text = f"{where}: {said} ({state}){HINTS.get(state, '')}"
    # A given table's own unique index is the row's affair; that on the identity never comes to that.
    if state[:2] in OF_THE_ROW:
        return Refused(text)
    if state[:2] in LASTING_CLASSES or state == "25006":
        return Misconfigured(text)
    return Later(text)


def _one_line(said: str) -> str:
    return " ".join(said.split())[:LONGEST]
