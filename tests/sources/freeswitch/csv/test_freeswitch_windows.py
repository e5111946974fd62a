"""A Master.csv that went through Windows: CR LF, a byte order mark, a line with the columns' names."""

import pytest

from humbug_agent.sources.freeswitch.csv.own_columns import FileRows
from humbug_agent.sources.freeswitch.csv.rows import LegRow
from humbug_agent.sources.freeswitch.csv.templates import TEMPLATES
from tests.kit.mod_cdr_csv import TEXTS, call, row, rows

LINED = [name for name, template in TEMPLATES.items() if template.end.endswith(b"\n")]


def cr_lf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def numbers(data: bytes, template: str = "auto", *, final: bool = True) -> list[int]:
    found, taken = FileRows(template).split(data, more=False, final=final)
    assert taken == len(data)
    assert all(isinstance(item, LegRow) for item in found), found
    return [int(item.values["uuid"][:8], 16) for item in found if isinstance(item, LegRow)]


@pytest.mark.parametrize("named", ["auto", "its name", "its text"])
@pytest.mark.parametrize("template", LINED)
def test_rows_with_cr_lf_are_rows_also_beside_others(template: str, named: str) -> None:
    said = {"auto": "auto", "its name": template, "its text": TEXTS[template]}[named]
    data = rows(template, 1, 2, 3) + cr_lf(rows(template, 4, 5, 6)) + rows(template, 7, 8, 9)
    assert numbers(data, said) == list(range(1, 10))
    assert numbers(cr_lf(data), said, final=False) == list(range(1, 10))


@pytest.mark.parametrize("template", LINED)
def test_what_they_say_is_the_same(template: str) -> None:
    data = b"".join(row(template, call(number, accountcode=b"ACME")) for number in range(1, 4))
    plain, _ = FileRows("auto").split(data, more=False, final=True)
    other, _ = FileRows("auto").split(cr_lf(data), more=False, final=True)
    assert [item.values for item in plain if isinstance(item, LegRow)] == [
        item.values for item in other if isinstance(item, LegRow)
    ]


@pytest.mark.parametrize("template", ["example", "asterisk"])
def test_odd_rows_with_cr_lf_are_read_as_odd_ones_are(template: str) -> None:
    odd = row(template, call(2, caller_id_name=b'Anna "A" B'))
    assert numbers(cr_lf(rows(template, 1) + odd + rows(template, 3))) == [1, 2, 3]


def test_columns_of_ones_own_are_seen() -> None:
    data = b"".join(
        row("example", call(one, caller_id_number=b"%d" % one))[:-1] + b',"acme.example"\n' for one in range(1, 7)
    )
    plain, _ = FileRows("auto").split(data, more=False, final=True)
    other, _ = FileRows("auto").split(cr_lf(data), more=False, final=True)
    assert [type(item) for item in other] == [type(item) for item in plain]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("template", LINED)
def test_a_byte_order_mark_and_the_columns_names_are_no_rows(
    template: str, mark: bytes, quoted: bool, end: str
) -> None:
    names = TEMPLATES[template].columns
    header = ",".join(f'"{name}"' if quoted else name for name in names) + end
    data = mark + header.encode() + rows(template, 1, 2)
    assert numbers(data) == [1, 2]
    assert numbers(mark + rows(template, 1, 2)) == [1, 2]
    assert numbers(rows(template, 1) + mark + rows(template, 2) + header.encode() + rows(template, 3)) == [1, 2, 3]
