"""What the security checks go by."""

import ast
import re
from pathlib import Path

import humbug_agent
from tests.security import audit

PACKAGE = Path(humbug_agent.__file__).parent

SQL = re.compile(
    r"\s*(?:SELECT|INSERT|UPDATE|DELETE|PRAGMA|CREATE|WITH|DROP|ALTER)\b|.*\b(?:FROM|WHERE|VALUES|ORDER BY)\b", re.S
)

PIECES = {
    # Names of columns and tables, and marks for values, all of them written in this program.
    "DOMAIN", "among", "wanted.tables", "_COLUMNS", "_DAY", "_PLACES", "_TOKENS", "condition", "moment",
    "order",
    "_DELIVERED", "_ENTRY", "by", "column", "columns", "counted", "counts", "gap", "key", "names", "numbers", "one",
    "groups", "number", "places", "rows.COLUMNS", "rows.PLACES", "sql", "table", "texts", "these", "trigger",
    "when", "where", "QUARTER", "_PLACE", "by_linkedid", "ids", "sums",
    "' UNION '.join(pieces)", "', '.join(names)", "', '.join('?' * len(names))",
    # Where an erased number is looked for: columns, and whether a call waits.
    "_CALL", "_ERROR", "_MESSAGE", "_QUOTES", "_REJECT", "_REPLY", "_UNFILLED", "_UNSENT",
    # Functions that make SQL of such names.
    "known('answer')", "known('end')", "known('start')", "rows.as_texts('destination')", "rows.as_texts('source')",
    "rows.as_texts('destination reply error')", "rows.as_texts('linkedid')",
    "rows.as_texts('linkedid uniqueid')", "rows.as_texts('part state message')", "rows.as_texts('source cursor')",
    "rows.as_texts('source destination state reply error')",
    # Names of the PBX's own database, as its server takes them.
    "', '.join(map(_quoted, self.shape.columns))", "at", "none", "self._select", "self._table",
    # Numbers, and a choice of two words.
    "', '.join((str(number) for number in ids))", "', '.join(map(str, calls))", "'FULL' if durable else 'NORMAL'",
    "CACHE_KILOBYTES", "MOST_TIMELESS", "PIECE", "SAME_SECONDS", "latest",
    "WAL_LIMIT_BYTES", "CALL", "_FREE[told]", "how", "hour(time.time())", "schema.BUSY_SECONDS * 1000", "span", "today",
    # Of a PostgreSQL table: its name, of letters and digits as agent.ini was read, its columns, a number of seconds.
    "', '.join(added)", "LOCK", "arrays", "made", "schema", "self._quoted",
    "self._settings.timeout * 1000", "self.name",
    # Of the receiver's stores: names of tables and columns, marks for values, numbers.
    "SCHEMA", "STATEMENT_SECONDS", "identities", "kept", "kind", "len(MIGRATIONS)", "listed(TOTAL_COLUMNS)",
    "_NOW", "_marks(ids)", "calls", "events", "listed(columns)", "marks", "newest", "old.format('calls')",
    "old.format(calls)", "old.format(events)", "old.format(table)", "which", "' UNION '.join(ids) or 'NULL'",
    # An insert as it is shown to people, and sent to nobody.
    "literals", "', '.join(shown)",
}  # fmt: skip
"""What may stand within SQL. Each was looked at: nothing that others wrote is in it; values go as question marks."""


def test_nothing_that_others_wrote_is_put_into_sql() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(one.value) if isinstance(one, ast.Constant) else "?" for one in node.values)
                if SQL.match(text):
                    found |= {ast.unparse(one.value) for one in node.values if isinstance(one, ast.FormattedValue)}
    assert found == PIECES


def test_each_exception_from_a_check_names_the_check() -> None:
    for path in PACKAGE.rglob("*.py"):
        for line in path.read_text().splitlines():
            if "# nosec" in line:
                assert re.search(r"# nosec B[0-9]{3}( # .+)?$", line), f"{path}: {line}"


def test_the_audit_is_no_success_where_it_could_not_look() -> None:
    good: dict[str, object] = {"name": "a", "version": "1", "vulns": []}
    bad: dict[str, object] = {"name": "b", "skip_reason": "not found"}
    ill: dict[str, object] = {"name": "c", "version": "2", "vulns": [{"id": "X-1", "fix_versions": []}]}
    ours: dict[str, object] = {"name": "humbug-agent", "skip_reason": "not found"}
    assert [audit.judged(one) for one in ([good, ours], [good, bad], [ill, bad], [])] == [0, 2, 1, 2]
