"""Rows with numbers and times that no call has: each is a call or a reject, and none stops the source."""

from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.flat import flatten as stored
from tests.kit.calls import cdrs
from tests.kit.cdr_reader import source
from tests.kit.mod_cdr_csv import TEXTS, call, rows_of, uuid
from tests.sources.freeswitch.csv.test_freeswitch_template_text import EPOCHS, SHAPES

_NUMBERS = st.sampled_from(
    [
        "0", "", "-1", "1", "9999999999", "-9999999999", "9" * 11, "9" * 16, "9" * 17, "9" * 400, "253402300799",
        "253402300799999999", "221845392000", "1e9", "NaN", "0x1", "+5", "1795193461", "1795193461190",
        "1795193461190756", "soon",
    ]
)  # fmt: skip
_STAMPS = st.sampled_from(
    [
        "9999-12-31 23:59:59", "0001-01-01 00:00:00", "0000-00-00 00:00:00", "1899-12-31 23:59:59", "",
        "2026-02-30 10:00:00", "8999-12-31 23:59:59", "1900-01-01 00:00:00", "2026-11-20 24:00:00",
        "2026-11-20 16:51:60", "2026-11-20 16:51:01",
    ]
)  # fmt: skip
EPOCHS_TEXT = {name: value.decode() for name, value in EPOCHS.items()}
_NAMES = ["duration", "billsec", *(f"{name}_uepoch" for name in ("start", "answer", "end")), *EPOCHS]
_ZONES = st.sampled_from(["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Zurich"]).map(ZoneInfo)


@settings(max_examples=400)
@given(
    st.sampled_from([*TEXTS.values(), *SHAPES.values()]),
    st.dictionaries(st.sampled_from(_NAMES), _NUMBERS, max_size=5),
    st.dictionaries(st.sampled_from(["start_stamp", "answer_stamp", "end_stamp"]), _STAMPS, max_size=3),
    _ZONES,
)
def test_a_row_with_absurd_values_is_a_call_or_a_reject(
    text: str, numbers: dict[str, str], stamps: dict[str, str], zone: ZoneInfo
) -> None:
    odd = {name: value.encode() for name, value in (EPOCHS_TEXT | numbers | stamps).items()}
    record = rows_of(text, call(7, **odd))
    template = text if text in SHAPES.values() else "auto"
    batch = source(Path("none/Master.csv"), zone=zone, template=template).parse(record)
    assert len(batch.records) == 1 if not batch.rejects else not batch.records
    assert all(reject.reason for reject in batch.rejects)
    for one in cdrs(batch.records):
        assert one.uniqueid == uuid(7).decode()
        assert 1500 < one.start.astimezone(UTC).year < 9500
        assert all(abs(value) < 2**53 for value in stored(one) if isinstance(value, int | float))
