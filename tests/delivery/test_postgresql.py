"""What is PostgreSQL's own among destinations: its table, its refusals, its rights and its TLS, at a real server."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trustme

from humbug_agent.cdr import CDR, Notice, digest
from humbug_agent.destinations import make_destination, settings_of
from humbug_agent.destinations.contract import (
    Answer,
    DeliveryError,
    Destination,
    Later,
    Misconfigured,
    Outcome,
    Refused,
)
from humbug_agent.flat import flatten
from humbug_agent.ini import Section
from humbug_agent.numbers.settings import NumbersSettings
from tests.kit.calls import START, call
from tests.kit.postgresql_server import PASSWORD, USER, PostgresqlServer

pytestmark = pytest.mark.slow

PBX = "here"


@pytest.fixture(scope="module")
def running() -> Iterator[PostgresqlServer]:
    with PostgresqlServer() as server:
        yield server


@pytest.fixture
def server(running: PostgresqlServer) -> PostgresqlServer:
    running.ask("DROP TABLE IF EXISTS cdr")
    return running


def made(server: PostgresqlServer, **changes: str) -> Destination:
    values = {"host": "127.0.0.1", "port": str(server.port), "password": PASSWORD, "pbx": PBX, "timeout": "5"}
    found: list[str] = []
    settings = settings_of("postgresql").read("there", Section("destination there", values | changes, found))
    assert not found
    return make_destination(settings, START.tzinfo, NumbersSettings(None, 9, ""), Path("not-asked-for"))  # type: ignore[arg-type]


def sent(destination: Destination, *records: CDR | Notice) -> list[Outcome]:
    destination.begin([[(number, flatten(record)) for number, record in enumerate(records)]])
    came: dict[int, Outcome] = {}
    while len(came) < len(records):
        came |= dict(destination.collect(1.0))
    return [came[number] for number in range(len(records))]


def only(server: PostgresqlServer, *records: CDR | Notice, **changes: str) -> Outcome:
    """What becomes of each of them."""
    with closing(made(server, **changes)) as destination:
        outcomes = sent(destination, *records)
    assert len(set(map(id, outcomes))) == 1
    return outcomes[0]


def failed(server: PostgresqlServer, kind: type[DeliveryError], *records: CDR, **changes: str) -> str:
    outcome = only(server, *(records or [call(1)]), **changes)
    assert type(outcome) is kind
    assert PASSWORD not in outcome.reason
    assert "\n" not in outcome.reason
    return outcome.reason


def test_a_row_has_what_the_pbx_said(server: PostgresqlServer) -> None:
    odd = call(
        3, clid='a "quoted" \\ name\0, {NULL}', lastdata="NULL", accountcode="'; DROP TABLE cdr; --", dst="",
        extra={"one": 'two\0"\\u0000', "Zoë": "☎"},
    )  # fmt: skip
    assert isinstance(only(server, odd, call(2)), Answer)
    with server.connect() as conn:
        found = conn.execute("SELECT * FROM cdr ORDER BY start_time DESC")
        names = [column.name for column in found.description or ()]
        row, unanswered = (dict(zip(names, values, strict=True)) for values in found)
    assert (row["pbx"], row["identity"], row["event"]) == (PBX, odd.identity, "Cdr")
    assert (row["start_time"], row["answer_time"], row["end_time"]) == (odd.start, odd.answer, odd.end)
    assert unanswered["answer_time"] is None
    assert (row["duration"], row["billsec"], row["disposition"]) == (10, 7, "ANSWERED")
    assert row["clid"] == 'a "quoted" \\ name\ufffd, {NULL}'
    assert (row["lastdata"], row["accountcode"], row["dst"]) == ("NULL", odd.accountcode, "")
    assert row["userfield"] == "line\nbreak"
    assert row["extra"] == {"one": 'two\ufffd"\\u0000', "Zoë": "☎"}


def test_a_notice_is_a_row_of_its_own_event(server: PostgresqlServer) -> None:
    notice = Notice(identity=digest("notice"), event="Shutdown", at=START, fields={"Restart": "False"})
    assert isinstance(only(server, notice), Answer)
    assert server.ask("SELECT event, extra FROM cdr") == [("Shutdown", {"Restart": "False"})]


def test_the_insert_that_is_shown_makes_the_row_that_is_sent(server: PostgresqlServer) -> None:
    odd = call(2, clid="it's \\ \0", extra={"a": "'"})
    with closing(made(server)) as destination:
        sent(destination, odd)
        one = server.ask("SELECT to_jsonb(cdr) FROM cdr")
        server.ask("TRUNCATE cdr")
        with server.connect() as conn:
            conn.execute(destination.preview(odd).body.replace("%", "%%").encode())
    assert server.ask("SELECT to_jsonb(cdr) FROM cdr") == one


def test_the_same_call_of_two_pbxs_is_two_rows_and_of_one_is_one(server: PostgresqlServer) -> None:
    for pbx in ("one", "two", "one"):
        assert isinstance(only(server, call(1), pbx=pbx), Answer)
    assert sorted(server.ask("SELECT pbx FROM cdr")) == [("one",), ("two",)]


def test_a_table_of_an_older_version_gets_the_columns_that_it_lacks(server: PostgresqlServer) -> None:
    only(server, call(1))
    server.ask("ALTER TABLE cdr DROP COLUMN extra, DROP COLUMN linkedid")
    assert isinstance(only(server, call(2)), Answer)
    assert sorted(server.ask("SELECT extra, linkedid FROM cdr"), key=str) == [
        ({"amaflags": "DOCUMENTATION"}, ""),
        ({}, ""),
    ]


def test_a_given_table_may_have_fewer_columns_and_other_types(server: PostgresqlServer) -> None:
    server.ask(
        "CREATE TABLE cdr "
        "(pbx text, identity bytea, dst varchar(12), duration int, extra json, PRIMARY KEY (pbx, identity));"
        f'GRANT INSERT, SELECT ON cdr TO "{USER}"'
    )
    with closing(made(server, create="no")) as destination:
        assert "which has no event, start_time" in destination.check()
        assert {type(outcome) for outcome in sent(destination, call(1), call(2))} == {Answer}
        (refused,) = sent(destination, call(3, dst="0" * 13))
        assert isinstance(refused, Refused)
        assert "too long" in refused.reason
    assert server.ask("SELECT count(*) FROM cdr") == [(2,)]


def test_what_is_wrong_with_the_table_is_said(server: PostgresqlServer) -> None:
    assert "there is no table cdr" in failed(server, Misconfigured, create="no")
    server.ask("CREATE TABLE cdr (uniqueid text)")
    assert "needs the columns pbx and identity" in failed(server, Misconfigured, create="no")
    server.ask(f'DROP TABLE cdr; CREATE TABLE cdr (pbx text, identity bytea); GRANT INSERT, SELECT ON cdr TO "{USER}"')
    assert "unique index on (pbx, identity)" in failed(server, Misconfigured, create="no")
    server.ask("ALTER TABLE cdr ADD PRIMARY KEY (pbx, identity)")
    assert isinstance(only(server, call(1), create="no"), Answer)
    server.ask(f'REVOKE SELECT ON cdr FROM "{USER}"')
    assert "needs INSERT and SELECT" in failed(server, Misconfigured, create="no")


def test_a_column_that_nobody_fills_pauses_and_blames_no_call(server: PostgresqlServer) -> None:
    only(server, call(1))
    server.ask(
        "CREATE DOMAIN filled AS text NOT NULL DEFAULT 'x'; TRUNCATE cdr; "
        "ALTER TABLE cdr ADD COLUMN tenant text NOT NULL, ADD COLUMN number int GENERATED ALWAYS AS IDENTITY, "
        "ADD COLUMN twice int NOT NULL GENERATED ALWAYS AS (2 * billsec) STORED, "
        "ADD COLUMN of_domain filled, ADD COLUMN note text"
    )
    assert "table cdr: its column tenant is NOT NULL without a default" in failed(server, Misconfigured)
    server.ask(
        "CREATE FUNCTION fills() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.tenant := 'x'; RETURN new; END $$; "
        "CREATE TRIGGER fills BEFORE INSERT ON cdr FOR EACH ROW EXECUTE FUNCTION fills()"
    )
    assert isinstance(only(server, call(2)), Answer)
    server.ask("DROP TRIGGER fills ON cdr; ALTER TABLE cdr ALTER COLUMN tenant SET DEFAULT 'y'")
    assert isinstance(only(server, call(3)), Answer)
    assert server.ask("SELECT tenant FROM cdr ORDER BY tenant") == [("x",), ("y",)]


def test_who_may_make_no_table_is_told_so_before_the_first_call(server: PostgresqlServer) -> None:
    server.ask("CREATE SCHEMA IF NOT EXISTS closed; CREATE ROLE guest LOGIN PASSWORD 'guests-word'")
    server.ask("GRANT USAGE ON SCHEMA closed TO guest")
    with closing(made(server, table="closed.cdr", user="guest", password="guests-word")) as destination:
        with pytest.raises(Misconfigured) as caught:
            destination.check()
        assert "no right to create" in caught.value.reason
    with closing(made(server)) as destination:
        assert "the table is made with the first call" in destination.check()
    assert server.ask("SELECT to_regclass('cdr')") == [(None,)]


def test_check_finds_the_table_and_the_servers_clock(server: PostgresqlServer) -> None:
    only(server, call(1))
    with closing(made(server)) as destination:
        assert "calls can be inserted" in destination.check()
        assert abs(destination.clock_off() or 0.0) < 1
    assert server.ask("SELECT count(*) FROM cdr") == [(1,)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": "wrong-one"}, "password authentication failed"),
        ({"password": ""}, "no password supplied"),
        ({"user": "nobody-here"}, "password authentication failed"),
        ({"database": "not_here"}, 'database "not_here" does not exist'),
        ({"sslmode": "require"}, "does not support SSL"),
    ],
)
def test_what_lets_nobody_in_pauses(server: PostgresqlServer, changes: dict[str, str], said: str) -> None:
    assert said in failed(server, Misconfigured, **changes)


def test_where_nobody_listens_or_there_is_no_such_host_it_is_tried_again(server: PostgresqlServer) -> None:
    assert "refused" in failed(server, Later, port="9")
    assert "name is not known" in failed(server, Later, host="nobody.invalid", sslmode="disable")
    assert "No such file" in failed(server, Later, host="/nowhere", password="")


def test_a_server_that_only_reads_pauses_it(server: PostgresqlServer) -> None:
    only(server, call(1))
    server.ask(f'ALTER ROLE "{USER}" SET default_transaction_read_only = on')
    try:
        assert "standby" in failed(server, Misconfigured, call(2))
    finally:
        server.ask(f'ALTER ROLE "{USER}" RESET default_transaction_read_only')


def test_a_database_without_some_characters_refuses_the_calls_that_have_them(server: PostgresqlServer) -> None:
    server.ask(f"CREATE DATABASE narrow OWNER \"{USER}\" ENCODING LATIN1 TEMPLATE template0 LOCALE 'C'")
    assert "no equivalent" in failed(server, Refused, call(1, clid="☎"), database="narrow")
    assert isinstance(only(server, call(2, clid="Zoë"), database="narrow"), Answer)


def test_why_a_row_is_refused_quotes_nothing_of_it(server: PostgresqlServer) -> None:
    only(server, call(1))
    server.ask("ALTER TABLE cdr ADD CHECK (dst <> '+41440000002')")
    said = failed(server, Refused, call(2))
    assert "violates check constraint" in said
    assert "+4144" not in said
    assert "Desk" not in said


def test_a_connection_that_the_server_ended_meanwhile_costs_no_call_an_attempt(server: PostgresqlServer) -> None:
    with closing(made(server)) as destination:
        assert isinstance(sent(destination, call(1))[0], Answer)
        server.ask(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{USER}'")
        assert isinstance(sent(destination, call(2))[0], Answer)


def test_what_is_taken_is_on_the_disk_whatever_is_usual_there(server: PostgresqlServer) -> None:
    server.ask(f'ALTER ROLE "{USER}" SET synchronous_commit = off')
    server.ask("CREATE TABLE IF NOT EXISTS heard (said text); GRANT ALL ON heard TO public")
    try:
        only(server, call(1))
        server.ask(
            "CREATE OR REPLACE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN INSERT INTO heard VALUES (current_setting('synchronous_commit')); RETURN NEW; END$$;"
            "CREATE TRIGGER hear BEFORE INSERT ON cdr FOR EACH ROW EXECUTE FUNCTION hear()"
        )
        only(server, call(2))
    finally:
        server.ask(f'ALTER ROLE "{USER}" RESET synchronous_commit')
    assert server.ask("SELECT said FROM heard") == [("on",)]


def test_over_tls_the_server_must_be_who_it_says(tmp_path: Path) -> None:
    authority, another = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    another.cert_pem.write_to_path(str(tmp_path / "another.pem"))
    issued = authority.issue_cert("127.0.0.1")
    with PostgresqlServer() as server:
        issued.cert_chain_pems[0].write_to_path(str(server.folder / "server.pem"))
        issued.private_key_pem.write_to_path(str(server.folder / "server.key"))
        server.own("server.pem", "server.key")
        for name, value in (("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")):
            server.ask(f"ALTER SYSTEM SET {name} = '{server.folder / value}'")
        server.ask("ALTER SYSTEM SET ssl = on")
        server.ask("SELECT pg_reload_conf()")
        right: dict[str, Any] = {"sslmode": "verify-full", "ca_file": str(tmp_path / "ca.pem")}
        assert isinstance(only(server, call(1), **right), Answer)
        assert "certificate verify failed" in failed(
            server, Misconfigured, **right | {"ca_file": str(tmp_path / "another.pem")}
        )
        assert "certificate verify failed" in failed(server, Misconfigured, sslmode="verify-full")


def test_of_another_host_the_certificate_is_checked_and_less_is_warned_about() -> None:
    def warned(**values: str) -> list[str]:
        return settings_of("postgresql").read("there", Section("destination there", values, [])).warnings()

    assert warned(host="db.example.org") == []
    assert warned(host="127.0.0.1", sslmode="disable") == []
    assert "unencrypted" in warned(host="db.example.org", sslmode="disable")[0]
    assert "verify-full" in warned(host="db.example.org", sslmode="require")[0]


def test_without_psycopg_it_pauses_and_says_what_to_install(
    server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setitem(sys.modules, "psycopg.pq", None)
    assert "pip install 'humbug-agent[postgresql]'" in failed(server, Misconfigured)
