"""What a call says of each field, whichever type of source has told it."""

import json
from datetime import UTC

import pytest

from humbug_agent.cdr import CDR, Direction
from humbug_agent.flat import flatten
from humbug_agent.routing.fields import FIELDS
from humbug_agent.sources.freeswitch.xml_cdr_row import of_row
from humbug_agent.sources.polling.rows import ApiRow
from tests.kit.calls import call
from tests.kit.paths import TOP


def values(field: str, cdr: CDR, country: str | None = None) -> tuple[str, ...]:
    return FIELDS[field].values(flatten(cdr), country)


def test_a_row_of_fusionpbx_tells_its_domain_its_direction_and_its_gateway() -> None:
    row = json.loads((TOP / "tests/kit/fusionpbx_sample.json").read_text())[0]
    cdr = of_row(ApiRow(row), UTC)
    assert values("domain", cdr) == ("acme.pbx.example.org",)
    assert values("tenant", cdr) == ("acme", "acme.pbx.example.org")
    assert values("direction", cdr) == ("outbound",)
    assert values("trunk", cdr) == ("sofia/gateway/trunk",)
    # What somebody here has dialled is no number of ours.
    assert values("did", cdr) == ("",)
    inbound = of_row(ApiRow(row | {"direction": "inbound", "caller_destination": "0312285000"}), UTC)
    assert values("did", inbound, "CH") == ("0312285000", "+41312285000")


@pytest.mark.parametrize(
    ("changed", "field", "found"),
    [
        (
            {"channel": "SIP/trunk-0000001a", "dstchannel": "Local/9@ctx-00000002;1"},
            "trunk",
            ("SIP/trunk", "Local/9@ctx"),
        ),
        (
            {"channel": "sofia/gateway/prov/0445550123"},
            "trunk",
            ("SIP/prov", "sofia/gateway/prov", "sofia/gateway/prov/0445550123"),
        ),
        ({"extra": {"sip_gateway_name": "prov"}, "channel": ""}, "trunk", ("sofia/gateway/prov",)),
        ({"channel": "", "dstchannel": ""}, "trunk", ()),
        ({"extra": {"did": "0445550123"}}, "did", ("0445550123",)),
        ({"dst": "0445550123", "direction": Direction.INBOUND}, "did", ("0445550123",)),
        ({"dst": "0445550123"}, "did", ("",)),
        ({"src": "+41445550123"}, "from", ("+41445550123",)),
        ({"dst": "*97"}, "to", ("*97",)),
    ],
)
def test_what_a_call_says(changed: dict[str, object], field: str, found: tuple[str, ...]) -> None:
    assert values(field, call(1, **({"lastdata": "", "extra": {}} | changed))) == found


@pytest.mark.parametrize("field", FIELDS)
def test_a_test_call_can_be_made_for_a_value(field: str) -> None:
    some = {"direction": "inbound", "trunk": "sofia/gateway/prov"}.get(field, "0445550123")
    assert some in values(field, call(1, **({"lastdata": "", "extra": {}} | FIELDS[field].made(some))))
    assert "PJSIP/prov" in values("trunk", call(1, **FIELDS["trunk"].made("PJSIP/prov")))
