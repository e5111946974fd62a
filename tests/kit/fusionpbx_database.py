"""FusionPBX's database: its tables for call records, and a model of the import that fills them.

By what its app/xml_cdr/app_config.php and a dump of a running one say. Its only indexes are those here.
"""

import getpass
import json
import re
import signal
import uuid
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import unquote

import psycopg

from tests.kit import php_json
from tests.kit.postgresql_server import DEADLINE, PostgresqlServer

OWNER, READER, PASSWORD = "fusionpbx", "humbug", "Pass'word 1&2"

ME = getpass.getuser()
"""Who runs the tests, and may log in as himself without a password."""

LOGINS = f"local all postgres trust\nlocal all {OWNER} trust\nlocal all {ME} peer\nlocal all all scram-sha-256\n"
"""pg_hba.conf."""

DOMAIN = "acme.pbx.example.org"

_UUIDS = ("domain_uuid", "extension_uuid", "originating_leg_uuid", "cc_member_session_uuid")
_TEXTS = (
    "sip_call_id", "domain_name", "accountcode", "direction", "default_language", "context", "caller_id_name",
    "caller_id_number", "caller_destination", "source_number", "destination_number", "bridge_uuid", "read_codec",
    "write_codec", "network_addr", "record_path", "record_name", "last_app", "last_arg", "cc_side", "cc_queue",
    "cc_agent", "cc_cause", "cc_cancel_reason", "pin_number", "status", "hangup_cause", "sip_hangup_disposition",
)  # fmt: skip
_NUMBERS = (
    "start_epoch", "answer_epoch", "end_epoch", "duration", "mduration", "billsec", "billmsec", "hold_accum_seconds",
    "cc_queue_joined_epoch", "cc_queue_answered_epoch", "waitsec", "pdd_ms", "hangup_cause_q850",
)  # fmt: skip
_STAMPS = ("start_stamp", "answer_stamp", "end_stamp")


def _columns() -> str:
    kinds = {"uuid": _UUIDS, "text": _TEXTS, "numeric": _NUMBERS, "timestamptz": _STAMPS}
    return ", ".join(f"{name} {kind}" for kind, names in kinds.items() for name in names)


TABLES = f"""
CREATE TABLE v_xml_cdr (
    xml_cdr_uuid uuid PRIMARY KEY, {_columns()}, leg character(1), voicemail_message boolean, missed_call boolean,
    xml text, json jsonb, insert_date timestamptz, insert_user uuid, update_date timestamptz, update_user uuid
);
CREATE INDEX v_xml_cdr_domain_uuid_fkey ON v_xml_cdr (domain_uuid);
CREATE TABLE v_xml_cdr_json (
    xml_cdr_json_uuid uuid PRIMARY KEY, xml_cdr_uuid uuid, domain_uuid uuid, start_stamp timestamptz, json jsonb,
    insert_date timestamptz, insert_user uuid, update_date timestamptz, update_user uuid
);
CREATE INDEX v_xml_cdr_json_xml_cdr_uuid_fkey ON v_xml_cdr_json (xml_cdr_uuid);
"""
INDEX = "CREATE INDEX CONCURRENTLY v_xml_cdr_insert_date ON v_xml_cdr (insert_date, xml_cdr_uuid)"
"""What docs/sources/postgresql.md has an admin add."""


class FusionpbxDatabase(PostgresqlServer):
    """The database of ``OWNER``, and a user ``READER`` who may read the tables for calls.

    ``indexed``: as docs/sources/postgresql.md wants it.
    """

    def __init__(self, *, indexed: bool = True) -> None:
        super().__init__()
        (self.folder / "data/pg_hba.conf").write_text(LOGINS)
        self._indexed = indexed

    def __enter__(self) -> Self:
        self.start()
        with self.connected("postgres", "postgres") as db:
            db.execute(f"CREATE ROLE {OWNER} LOGIN")
            db.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
            db.execute(f"CREATE DATABASE {OWNER} OWNER {OWNER}")
        with self.connected() as db:
            db.execute(TABLES)
            db.execute(f"GRANT SELECT ON v_xml_cdr, v_xml_cdr_json TO {READER}")
            if self._indexed:
                db.execute(INDEX)
        return self

    def ini(self) -> str:
        """The lines of a source's section that log in as READER."""
        login = f"database = {OWNER}\nusername = {READER}\npassword = {PASSWORD}"
        return f"host = {self.folder}\nport = {self.port}\n{login}"

    def connected(self, user: str = OWNER, database: str = OWNER) -> "psycopg.Connection[Any]":
        return psycopg.connect(
            host=str(self.folder), port=self.port, user=user, dbname=database, autocommit=True, connect_timeout=10
        )

    def stop(self) -> None:
        """As a package's upgrade does it: whoever is connected is thrown out."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        self._process.wait(DEADLINE)
        self._process = None

    def insert(self, *rows: dict[str, Any], table: str = "v_xml_cdr") -> None:
        """A blank ``insert_date`` is now."""
        with self.connected() as db, db.transaction():
            for row in rows:
                row = {"insert_date": datetime.now(UTC)} | row
                marks = ", ".join(f"%({name})s" for name in row)
                db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", row)

    def history(self, count: int, begin: float, end: float, **changes: str) -> None:
        """So many calls of 30 seconds, the last one of which ended at ``end``; their uuids end in 1, 2 and so on.

        ``changes`` are columns and the SQL of what they hold, in which n is the call's number.
        """
        step = (end - begin) / count
        ended = f"floor({begin} + n * {step})"
        values = {
            "xml_cdr_uuid": "('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid",
            "domain_name": f"'{DOMAIN}'",
            "caller_id_name": "'John Doe'",
            "caller_id_number": "'031' || n",
            "destination_number": "'070' || n",
            "start_epoch": f"{ended} - 30",
            "answer_epoch": f"CASE WHEN n % 3 = 0 THEN 0 ELSE {ended} - 25 END",
            "end_epoch": ended,
            "start_stamp": f"to_timestamp({ended} - 30)",
            "end_stamp": f"to_timestamp({ended})",
            "duration": "25",
            "billsec": "CASE WHEN n % 3 = 0 THEN 0 ELSE 25 END",
            "hangup_cause": "CASE WHEN n % 3 = 0 THEN 'ORIGINATOR_CANCEL' ELSE 'NORMAL_CLEARING' END",
            "direction": "(ARRAY['inbound', 'outbound', 'local'])[1 + n % 3]",
            "leg": "'a'",
            "insert_date": f"to_timestamp({begin} + n * {step})",
            **changes,
        }
        with self.connected() as db:
            db.execute(
                f"INSERT INTO v_xml_cdr ({', '.join(values)}) SELECT {', '.join(values.values())} "
                f"FROM generate_series(1, {count}) AS n"
            )
            db.execute("VACUUM ANALYZE v_xml_cdr")

    def import_xml(self, document: bytes, *, keeps: str = "apart") -> str:
        """As the service xml_cdr does it. ``keeps`` it in "json" or "xml" of the row, "apart", or nowhere.

        Returns the row's key.
        """
        row = imported(document)
        kept = php_json.kept(document).decode()
        with_document = {"json": {"json": kept}, "xml": {"xml": document.decode()}}.get(keeps, {})
        self.insert(row | with_document)
        if keeps == "apart":
            key = {"xml_cdr_json_uuid": str(uuid.uuid4()), "xml_cdr_uuid": row["xml_cdr_uuid"]}
            self.insert(key | {"json": kept}, table="v_xml_cdr_json")
        return str(row["xml_cdr_uuid"])


def imported(document: bytes) -> dict[str, Any]:
    """The row that the import makes of mod_xml_cdr's document, but for what it looks up in other tables."""
    found = json.loads(php_json.kept(document))
    variables = {name: unquote(one) for name, one in found["variables"].items() if isinstance(one, str)}
    flows = found["callflow"] if isinstance(found["callflow"], list) else [found["callflow"]]
    profile = {name: one for name, one in flows[0]["caller_profile"].items() if isinstance(one, str)}
    row: dict[str, Any] = {
        name: variables[name]
        for name in (*_UUIDS, *_TEXTS, *_NUMBERS)
        if variables.get(name) and variables[name] != "_undef_"
    }
    return row | {
        "xml_cdr_uuid": variables["uuid"],
        "direction": variables.get("call_direction"),
        "context": profile.get("context"),
        "network_addr": variables.get("sip_network_ip"),
        "destination_number": profile.get("destination_number"),
        "caller_id_name": re.sub(r"[^a-zA-Z0-9\-.#*@ ]", "", profile.get("caller_id_name", "")),
        "caller_id_number": re.sub(r"[^0-9\-#*]", "", profile.get("caller_id_number", "")),
        **{f"{one}_stamp": datetime.fromtimestamp(int(row.get(f"{one}_epoch", 0)), UTC) for one in _MOMENTS},
        # So it does, with both.
        "duration": variables["billsec"],
        "mduration": variables["billmsec"],
        "leg": "b" if "originating_leg_uuid" in variables else "a",
    }


_MOMENTS = ("start", "answer", "end")


def a_row(number: int, ended: float, seconds: int = 30, **changes: Any) -> dict[str, Any]:
    """Of a call that ended then, without a document; every third one nobody answered."""
    answered = number % 3 != 0
    end = int(ended)
    epochs = {"start": end - seconds, "answer": end - seconds + 5 if answered else 0, "end": end}
    row = {
        "xml_cdr_uuid": str(uuid.UUID(int=number)),
        "domain_name": DOMAIN,
        "accountcode": "acme",
        "direction": ("inbound", "outbound", "local")[number % 3],
        "caller_id_name": "John Doe",
        "caller_id_number": f"031{number:07}",
        "destination_number": f"070{number:07}",
        "context": DOMAIN,
        **{f"{name}_epoch": second for name, second in epochs.items()},
        **{f"{name}_stamp": datetime.fromtimestamp(second, UTC) for name, second in epochs.items()},
        "duration": seconds - 5 if answered else 0,
        "billsec": seconds - 5 if answered else 0,
        "hangup_cause": "NORMAL_CLEARING" if answered else "ORIGINATOR_CANCEL",
        "leg": "a",
        "insert_date": datetime.fromtimestamp(ended, UTC),
    }
    return row | changes
