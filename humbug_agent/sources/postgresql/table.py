"""FusionPBX's table v_xml_cdr: what a database has of it, and what it is asked for.

The columns are those of app/xml_cdr/app_config.php. FusionPBX makes no index on a time of its own: only on the key and
on domain_uuid. Its import writes the whole document into ``json``, which newer versions keep in v_xml_cdr_json, or into
``xml``, and all of it in one transaction.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Event

from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.postgresql.link import Link, Row
from humbug_agent.words import count

COLUMNS = (
    "xml_cdr_uuid", "domain_uuid", "domain_name", "extension_uuid", "accountcode", "direction", "default_language",
    "context", "caller_id_name", "caller_id_number", "caller_destination", "source_number", "destination_number",
    "start_epoch", "start_stamp", "answer_epoch", "answer_stamp", "end_epoch", "end_stamp", "duration", "mduration",
    "billsec", "billmsec", "hold_accum_seconds", "bridge_uuid", "read_codec", "read_rate", "write_codec", "write_rate",
    "remote_media_ip", "network_addr", "sip_call_id", "record_path", "record_name", "leg", "originating_leg_uuid",
    "pdd_ms", "rtp_audio_in_mos", "last_app", "last_arg", "voicemail_message", "missed_call", "call_center_queue_uuid",
    "cc_side", "cc_member_uuid", "cc_queue_joined_epoch", "cc_queue", "cc_member_session_uuid", "cc_agent_uuid",
    "cc_agent", "cc_agent_type", "cc_agent_bridged", "cc_queue_answered_epoch", "cc_queue_terminated_epoch",
    "cc_queue_canceled_epoch", "cc_cancel_reason", "cc_cause", "waitsec", "conference_name", "conference_uuid",
    "conference_member_id", "digits_dialed", "status", "call_disposition", "hangup_cause",
    "hangup_cause_q850", "sip_hangup_disposition", "ring_group_uuid", "ivr_menu_uuid",
)  # fmt: skip
"""Those that are asked for where they are there. What a caller dialled as his PIN, pin_number, is nobody's business."""

NEEDED = ("xml_cdr_uuid", "end_epoch")

DOCUMENTS = ("json", "xml")
LARGEST_DOCUMENT = 512 * 1024
"""Characters. Some 15,000 are usual; a larger one stays in the database, and its call comes of the columns."""

NIL = "00000000-0000-0000-0000-000000000000"
"""Before every uuid."""

ALL_COLUMNS = """
SELECT c.relname AS "table", c.relkind = 'r' AND current_setting('server_version_num')::int >= 140000 AS tail,
       a.attname AS name, has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable,
       (SELECT s.null_frac FROM pg_stats s
         WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname LIMIT 1) AS nulls
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.oid IN (to_regclass('v_xml_cdr'), to_regclass('v_xml_cdr_json')) AND a.attnum > 0 AND NOT a.attisdropped
"""

INDEXED = """
SELECT c.relname AS "table", a.attname AS name
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
  JOIN pg_am m ON m.oid = x.relam JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
 WHERE c.oid IN (to_regclass('v_xml_cdr'), to_regclass('v_xml_cdr_json'))
   AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree'
"""

NOW = "SELECT extract(epoch FROM clock_timestamp())::float8 AS now"

NEXT = {
    "insert_date": """
SELECT xml_cdr_uuid::text AS uuid, insert_date::text AS at, floor(extract(epoch FROM insert_date))::bigint AS second
  FROM v_xml_cdr
 WHERE (insert_date, xml_cdr_uuid) > (%(at)s::timestamptz, %(uuid)s) AND insert_date < to_timestamp(%(end)s)
 ORDER BY insert_date, xml_cdr_uuid LIMIT %(most)s
""",
    "end_epoch": """
SELECT xml_cdr_uuid::text AS uuid, end_epoch::text AS at, floor(end_epoch)::bigint AS second
  FROM v_xml_cdr
 WHERE (end_epoch, xml_cdr_uuid) > (%(at)s::numeric, %(uuid)s) AND end_epoch < %(end)s::numeric
 ORDER BY end_epoch, xml_cdr_uuid LIMIT %(most)s
""",
}
"""The keys of the rows after one of them, by the column that orders them."""

NEWEST = {
    "insert_date": """
SELECT xml_cdr_uuid::text AS uuid, count(*) OVER () AS number
  FROM v_xml_cdr WHERE insert_date >= to_timestamp(%(begin)s)
 ORDER BY insert_date DESC LIMIT %(most)s
""",
    "end_epoch": """
SELECT xml_cdr_uuid::text AS uuid, count(*) OVER () AS number
  FROM v_xml_cdr WHERE end_epoch >= %(begin)s::numeric
 ORDER BY end_epoch DESC LIMIT %(most)s
""",
}
"""The keys of the newest rows, and how many there are."""

UNDATED = """
SELECT xml_cdr_uuid::text AS uuid
  FROM v_xml_cdr
 WHERE insert_date IS NULL AND xml_cdr_uuid > %(uuid)s AND end_epoch >= %(since)s
 ORDER BY xml_cdr_uuid LIMIT %(most)s
"""
"""The keys of rows from before FusionPBX had that column, or that another program has written."""

DATED = """
SELECT EXISTS (SELECT 1 FROM v_xml_cdr WHERE insert_date IS NOT NULL)
       OR NOT EXISTS (SELECT 1 FROM v_xml_cdr) AS dated
"""
"""Whether that column is filled; of no row nothing else is known."""

PAGES = "SELECT pg_relation_size('v_xml_cdr') / current_setting('block_size')::bigint AS pages"

AT_THE_END = {
    "insert_date": """
SELECT xml_cdr_uuid::text AS uuid
  FROM v_xml_cdr
 WHERE ctid >= %(place)s::tid AND insert_date >= to_timestamp(%(begin)s) AND insert_date < to_timestamp(%(end)s)
 LIMIT %(most)s
""",
    "end_epoch": """
SELECT xml_cdr_uuid::text AS uuid
  FROM v_xml_cdr
 WHERE ctid >= %(place)s::tid AND end_epoch >= %(begin)s::numeric AND end_epoch < %(end)s::numeric
 LIMIT %(most)s
""",
}
"""The keys of rows that stand from a place in the table's file on, which is found without an index."""

KEPT_APART = """
SELECT xml_cdr_uuid::text AS uuid, CASE WHEN octet_length(json::text) <= %(most)s THEN json::text END AS json
  FROM v_xml_cdr_json
 WHERE xml_cdr_uuid = ANY(%(uuids)s)
"""


@dataclass(frozen=True)
class LegTable:
    """What a database has of the table.

    ``by`` is the column by which its rows are asked for. Where that is not ``indexed``, PostgreSQL reads the whole
    table for each question; ``tail`` says whether it can be asked for the end of the table's file alone. ``apart`` says
    whether v_xml_cdr_json can be asked, ``lacks`` what an admin should know.
    """

    columns: tuple[str, ...]
    documents: tuple[str, ...]
    by: str
    indexed: bool
    tail: bool
    apart: bool
    lacks: tuple[str, ...]

    def rows(self) -> str:
        """The question for whole rows, every value as text."""
        values = [f'"{name}"::text AS "{name}"' for name in self.columns]
        for name in self.documents:
            values.append(f'CASE WHEN octet_length("{name}"::text) <= %(most)s THEN "{name}"::text END AS "{name}"')
        columns = ", ".join(values)
        return f"SELECT {columns} FROM v_xml_cdr WHERE xml_cdr_uuid = ANY(%(uuids)s)"


def look(link: Link, stop: Event) -> LegTable:
    """What there is now. Raises SourceError where that is not enough, Stopped."""
    has: dict[str, dict[str, Row]] = {"v_xml_cdr": {}, "v_xml_cdr_json": {}}
    for row in link.ask(ALL_COLUMNS, {}, stop):
        has[row["table"]][row["name"]] = row
    indexed = {(row["table"], row["name"]) for row in link.ask(INDEXED, {}, stop)}
    table, apart = has["v_xml_cdr"], has["v_xml_cdr_json"]
    if not table:
        raise SourceError(f"{link.where}: it has no table v_xml_cdr: is it FusionPBX's database?")
    if not any(row["readable"] for row in table.values()):
        raise SourceError(
            f"{link.where}: {link.user} may not read v_xml_cdr; as a superuser of PostgreSQL: "
            f"GRANT SELECT ON v_xml_cdr, v_xml_cdr_json TO {link.user}"
        )
    readable = {name: row for name, row in table.items() if row["readable"]}
    if lacking := [name for name in NEEDED if name not in readable]:
        what = f"{count(len(lacking), 'column')} {', '.join(lacking)}"
        raise SourceError(f"{link.where}: v_xml_cdr lacks the {what}: is it FusionPBX's, and readable as a whole?")
    # It may be there and never be filled. A table that was never analyzed has no statistics of it.
    dated = readable.get("insert_date")
    is_dated = dated is not None and dated["nulls"] != 1
    if dated is not None and dated["nulls"] is None:
        # Where that takes too long it is taken for usual: what is asked next says what the table lacks.
        with suppress(SourceError):
            is_dated = link.ask(DATED, {}, stop)[0]["dated"]
    by = "insert_date" if is_dated else "end_epoch"
    lacks = []
    if ("v_xml_cdr", by) not in indexed:
        lacks.append(
            f"no index on {by}: to look for calls reads the whole table, and so some are found late; as a superuser of "
            f"PostgreSQL: CREATE INDEX CONCURRENTLY ON v_xml_cdr ({by}, xml_cdr_uuid)"
        )
    asks_apart = bool(apart) and all(row["readable"] for row in apart.values())
    if apart and not asks_apart:
        lacks.append(f"no document: {link.user} may not read v_xml_cdr_json (GRANT SELECT ON v_xml_cdr_json)")
    elif apart and ("v_xml_cdr_json", "xml_cdr_uuid") not in indexed:
        asks_apart = False
        lacks.append("no document: CREATE INDEX CONCURRENTLY ON v_xml_cdr_json (xml_cdr_uuid)")
    return LegTable(
        columns=tuple(name for name in COLUMNS if name in readable),
        documents=tuple(name for name in DOCUMENTS if name in readable),
        by=by,
        indexed=("v_xml_cdr", by) in indexed,
        tail=all(row["tail"] for row in table.values()),
        apart=asks_apart,
        lacks=tuple(lacks),
    )


def whole_rows(link: Link, table: LegTable, uuids: Sequence[str], stop: Event) -> Iterator[Row]:
    """The rows of these keys that are still there, in no order, with their document where there is one."""
    values = {"uuids": "{" + ",".join(uuids) + "}", "most": LARGEST_DOCUMENT}
    rows = link.ask(table.rows(), values, stop)
    apart = {}
    if table.apart and any(not row.get("json") for row in rows):
        apart = {row["uuid"]: row["json"] for row in link.ask(KEPT_APART, values, stop)}
    for row in rows:
        document = apart.get(row["xml_cdr_uuid"])
        yield row if row.get("json") or document is None else row | {"json": document}
