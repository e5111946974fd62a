"""The names by which a channel's device is found."""

import pytest

from humbug_agent.board.device import device_names


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("SIP/4003-0000001a", ("SIP/4003",)),
        ("Local/9@ctx-00000002;1", ("Local/9@ctx",)),
        ("DAHDI/1-1", ("DAHDI/1",)),
        ("odd", ("odd",)),
        ("", ("",)),
        (
            "sofia/internal/1001@10.0.0.5",
            ("SIP/1001", "sofia/internal/1001@10.0.0.5", "sofia/internal/1001"),
        ),
        (
            "sofia/internal/8201@pbx-1.example.com:25071",
            (
                "SIP/8201", "sofia/internal/8201@pbx-1.example.com:25071", "sofia/internal/8201@pbx-1.example.com",
                "sofia/internal/8201",
            ),
        ),
        (
            "sofia/internal/1001@[::1]:5060",
            ("SIP/1001", "sofia/internal/1001@[::1]:5060", "sofia/internal/1001@[::1]", "sofia/internal/1001"),
        ),
        (
            "sofia/internal/%2B49-30@h",
            ("SIP/+49-30", "sofia/internal/%2B49-30@h", "sofia/internal/+49-30@h", "sofia/internal/+49-30"),
        ),
        (
            "sofia/external/sip:1001@h;transport=tcp",
            (
                "SIP/1001", "sofia/external/sip:1001@h;transport=tcp", "sofia/external/1001@h", "sofia/external/1001",
            ),
        ),
        ("sofia/external/18005551212", ("SIP/18005551212", "sofia/external/18005551212")),
        (
            "sofia/gateway/my-trunk/4930123",
            ("SIP/my-trunk", "sofia/gateway/my-trunk", "sofia/gateway/my-trunk/4930123"),
        ),
        ("loopback/9664-a", ("loopback/9664", "loopback/9664-a")),
        ("loopback/9664-b", ("loopback/9664", "loopback/9664-b")),
        ("verto.rtc/1001@h-1.example", ("verto.rtc/1001", "verto.rtc/1001@h-1.example")),
        ("freetdm/1:1/a-b", ("freetdm/1:1/a-b",)),
    ],
)  # fmt: skip
def test_a_device_is_found_by_its_names(channel: str, expected: tuple[str, ...]) -> None:
    assert device_names(channel) == expected
