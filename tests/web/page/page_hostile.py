"""Names that callers may choose, and what is to be seen of them."""

from tests.web.page.page_data import Json, afternoon

STACKED = "Z\u0338\u0321\u0322\u031b\u0319\u033e\u033fa\u0328\u0337"
NAMES = {
    "<script>window.pwned = 1</script>": "<script>window.pwned = 1</script>",
    "<img src=x onerror=pwned=1>": "<img src=x onerror=pwned=1>",
    "abc\u202egnp.exe \u2066x": "abc\\u202egnp.exe \\u2066x",
    "W" * 200: "W" * 200,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 Müller": "\U0001f468\u200d\U0001f469\u200d\U0001f467 Müller",
    "line one\nline two\t\x1b[31m\x00": "line one\\nline two\\t\\u001b[31m\\u0000",
    "שלום עולם": "שלום עולם",
    STACKED: STACKED,
}


def hostile() -> Json:
    """The ordinary afternoon, with such names wherever somebody else can choose one."""
    answer = afternoon()
    names = list(NAMES)
    board = answer["boards"][0]
    for one, name in zip(board["calls"], names, strict=False):
        one["from_name"] = name
    board["calls"][0].update(to_name=names[-1], to_number="9" * 80)
    sales, support = board["queues"]
    support["name"] = "<b>" + names[2] + names[3]
    for one in board["calls"]:
        one["queue"] = support["name"] if one["queue"] == "support" else one["queue"]
    support["waiting"][0].update(name=names[3], country=names[3])
    support["members"][0]["name"] = names[3]
    support["members"][1]["reason"] = names[0] + names[3]
    sales["connected"][0].update(name=names[7], agent_name=names[1])
    answer["agent"]["destinations"]["humbug"].update(
        state="paused", message=names[0] + names[3], waiting=1234567, dead=3, oldest_waiting_seconds=90000,
        last_error=names[1], last_error_at="2026-11-20T13:59:12+01:00", sent=98765432,
    )  # fmt: skip
    answer["agent"]["deliveries"].update(waiting=1234567, dead=3, sent=98765432)
    answer["agent"]["sources"]["ami"].update(state="failing", message=names[2] + names[3], unread_bytes=2**31)
    return answer
