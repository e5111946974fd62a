"""What each answer is taken for, whom TLS trusts, what the environment may change, and what no text shows."""

import gzip
import html
import json
import re
import ssl
import time
import tracemalloc
from base64 import b64encode
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from humbug_agent.destinations.contract import Answer, DeliveryError, Later, Misconfigured, Refused
from tests.kit.rude import Act, Request, Rude
from tests.kit.sending import Call, Failure, Make

ServerTls = Callable[..., ssl.SSLContext]
BIG = 100 * 1024 * 1024


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(call: Call, humbug: Make, failure: Failure, status: int) -> None:
    with Rude() as target, Rude([Act(status=status, headers=(("Location", target.url),))]) as server:
        error = failure(humbug(server.url), call())
        assert target.connections == 0
    assert isinstance(error, Misconfigured)
    assert f"answered {status}" in error.reason
    assert "redirect" in error.reason


@pytest.mark.parametrize("location", ["http://[bad", "http://", "//", "\x7f", "javascript:x", "http://h:port/"])
def test_a_redirect_to_nonsense_is_a_redirect(call: Call, humbug: Make, failure: Failure, location: str) -> None:
    with Rude([Act(status=302, headers=(("Location", location),))]) as server:
        error = failure(humbug(server.url), call())
    assert isinstance(error, Misconfigured)
    assert "answered 302" in error.reason


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, None) for status in (200, 201, 202, 204, 299)),
        *((status, Misconfigured) for status in (300, 304, 401, 403, 404, 405, 407, 410, 451)),
        *((status, Refused) for status in (400, 413, 422)),
        *((status, Later) for status in (408, 425, 429, 500, 502, 503, 504, 520, 599)),
    ],
)
def test_the_status_decides(
    call: Call, humbug: Make, failure: Failure, status: int, kind: type[DeliveryError] | None
) -> None:
    with Rude([Act(status=status, body=b"" if status in (204, 304) else b"said\nthis")]) as server:
        if kind is None:
            assert humbug(server.url).send(call()).status == status
            return
        error = failure(humbug(server.url), call())
    assert type(error) is kind
    assert error.answer.status == status
    assert error.reason.startswith(f"{server.url}: answered {status}")
    assert kind is not Refused or error.reason.endswith("(said this)")


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("said", "low", "high"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        ("99999999", 3600, 3600),
        ("9" * 400, 3600, 3600),
        (900, 890, 900),
        (-900, 0, 0),
        (1_000_000, 3600, 3600),
        *((nonsense, None, None) for nonsense in ("soon", "-5", "", "1.5", "²", "Wed, 99 Foo 2026 99:99:99 GMT")),
    ],
)
def test_retry_after_is_heard(
    call: Call, humbug: Make, failure: Failure, status: int, said: str | int, low: float | None, high: float | None
) -> None:
    if isinstance(said, int):
        said = formatdate(time.time() + said, usegmt=True)
    with Rude([Act(status=status, headers=(("Retry-After", said),))]) as server:
        error = failure(humbug(server.url), call())
    assert isinstance(error, Later)
    if low is None or high is None:
        assert error.retry_after is None
    else:
        assert error.retry_after is not None
        assert low <= error.retry_after <= high


@pytest.mark.parametrize("wrong", [-3000, 3000, 86400])
def test_a_time_to_wait_for_is_by_the_clock_of_whoever_says_it(
    call: Call, humbug: Make, failure: Failure, wrong: int
) -> None:
    now = time.time() + wrong
    said = (("Retry-After", formatdate(now + 90, usegmt=True)), ("Date", formatdate(now, usegmt=True)))
    with Rude([Act(status=503, headers=said)]) as server:
        error = failure(humbug(server.url), call())
    assert isinstance(error, Later)
    assert error.retry_after == pytest.approx(90, abs=1)


def test_the_answer_can_be_compressed_all_the_same(call: Call, humbug: Make) -> None:
    gzipped = (("Content-Encoding", "gzip"),)
    acts = [Act(headers=gzipped, body=gzip.compress(b"stored")), Act(headers=gzipped, body=b"no gzip")]
    with Rude([*acts, Act(headers=gzipped, body=gzip.compress(bytes(BIG)))]) as server:
        assert humbug(server.url).send(call()).text == "stored"
        assert humbug(server.url).send(call()).status == 200
        tracemalloc.start()
        humbug(server.url).send(call())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


def test_patterns_judge_the_text_of_a_200(call: Call, humbug: Make, failure: Failure) -> None:
    answers = {"1": b"OK 1", "2": b"ERROR quota", "3": b"hm"}
    with Rude(lambda request: Act(body=answers[request.form["UserField"]])) as server:
        destination = humbug(server.url, accept_pattern=re.compile("^OK"), reject_pattern=re.compile("quota"))
        assert destination.send(call(userfield="1")).text == "OK 1"
        refused, later = (failure(destination, call(userfield=field)) for field in "23")
    assert isinstance(refused, Refused)
    assert (refused.answer, "reject_pattern" in refused.reason) == (Answer(200, "ERROR quota"), True)
    assert isinstance(later, Later)
    assert (later.answer, "accept_pattern" in later.reason) == (Answer(200, "hm"), True)


# TLS.


def test_an_own_ca_file_is_trusted(call: Call, humbug: Make, server_tls: ServerTls, ca_file: Path) -> None:
    with Rude(tls=server_tls()) as server:
        assert humbug(server.url, ca_file=ca_file).send(call()).status == 200


@pytest.mark.parametrize(
    ("name", "own", "said"), [("127.0.0.1", False, "self-signed|issuer"), ("x.org", True, "mismatch")]
)
def test_a_certificate_that_is_not_trusted_pauses(
    call: Call, humbug: Make, failure: Failure, server_tls: ServerTls, ca_file: Path, name: str, own: bool, said: str
) -> None:
    with Rude(tls=server_tls(name)) as server:
        error = failure(humbug(server.url, ca_file=ca_file if own else None), call())
    assert isinstance(error, Misconfigured)
    assert re.search(said, error.reason)
    assert "certificate" in error.reason
    assert server.requests == []


@pytest.mark.opening
def test_https_to_a_port_without_tls_pauses(call: Call, humbug: Make, failure: Failure) -> None:
    with Rude() as server:
        error = failure(humbug(server.url.replace("http:", "https:")), call())
    assert isinstance(error, Misconfigured)
    assert "TLS" in error.reason


@pytest.mark.opening
def test_http_to_a_port_with_tls_loses_nothing(
    call: Call, humbug: Make, failure: Failure, server_tls: ServerTls
) -> None:
    with Rude(tls=server_tls()) as server:
        error = failure(humbug(server.url.replace("https:", "http:")), call())
    assert isinstance(error, Later | Misconfigured)


@pytest.mark.parametrize("text", ["no certificate at all", None], ids=["garbage", "gone"])
def test_a_ca_file_that_is_none_any_more_pauses(
    call: Call, humbug: Make, failure: Failure, server_tls: ServerTls, ca_file: Path, text: str | None
) -> None:
    with Rude(tls=server_tls()) as server:
        destination = humbug(server.url, ca_file=ca_file)
        ca_file.unlink() if text is None else ca_file.write_text(text)
        assert isinstance(failure(destination, call()), Misconfigured)


# The environment, and the proxy.


def test_the_environment_changes_nothing(
    call: Call,
    humbug: Make,
    failure: Failure,
    server_tls: ServerTls,
    ca_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Rude() as proxy, Rude() as server, Rude(tls=server_tls()) as secure:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy.port}")
        (tmp_path / ".netrc").write_text("default login me password sesame\n")
        (tmp_path / ".netrc").chmod(0o600)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.setenv(name, str(ca_file))
        humbug(server.url).send(call())
        error = failure(humbug(secure.url), call())
        assert proxy.connections == 0
    assert isinstance(error, Misconfigured)
    assert "authorization" not in server.requests[0].headers


def test_a_configured_proxy_is_used_with_its_password(call: Call, humbug: Make) -> None:
    with Rude() as proxy:
        humbug("http://name.invalid/r.php", proxy=f"http://me:sesame@127.0.0.1:{proxy.port}").send(call())
    assert proxy.requests[0].target == "http://name.invalid/r.php"
    assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_another_password_pauses(call: Call, humbug: Make, failure: Failure, scheme: str) -> None:
    with Rude(lambda _: Act(status=407)) as proxy:
        error = failure(humbug(f"{scheme}://name.invalid/", proxy=f"http://me:sesame@127.0.0.1:{proxy.port}"), call())
    assert proxy.requests[0].method == ("CONNECT" if scheme == "https" else "POST")
    assert isinstance(error, Misconfigured)
    assert "407" in error.reason
    assert "sesame" not in error.reason


def test_a_proxy_that_is_away_is_named_as_the_one(call: Call, humbug: Make, failure: Failure, free_port: int) -> None:
    error = failure(humbug("http://name.invalid/", proxy=f"http://me:sesame@127.0.0.1:{free_port}"), call())
    assert isinstance(error, Later)
    assert "proxy" in error.reason
    assert "refused" in error.reason
    assert "sesame" not in error.reason


# Secrets.

GATEWAY = "gate & way/key"


def echoes(request: Request) -> bytes:
    forms = [f(secret) for secret in (GATEWAY, "zebra crossing") for f in (str, quote_plus)]
    return " ".join(forms).encode() + b" " + request.body + b" " + request.form.get("data", "").upper().encode()


@pytest.mark.parametrize("status", [200, 302, 400, 401, 503])
@pytest.mark.parametrize("key", [None, "zebra crossing"])
def test_secrets_that_the_server_says_back_are_masked(
    call: Call, humbug: Make, failure: Failure, status: int, key: str | None
) -> None:
    with Rude(lambda request: Act(status=status, body=echoes(request))) as server:
        destination = humbug(server.url, api_key=GATEWAY, encryption_key=key)
        if status == 200:
            said = repr(destination.send(call()))
        else:
            error = failure(destination, call())
            said = f"{error!r} {error.reason} {error.answer!r} {error.__dict__}"
        data = server.requests[0].form.get("data", "no data")
    assert "***" in said
    for secret in (GATEWAY, quote_plus(GATEWAY), data[:40], data[:40].upper()):
        assert secret not in said
    if key:
        assert not re.search("zebra.{1,3}crossing", said)


@pytest.mark.parametrize(
    "form",
    [
        quote,
        lambda secret: quote(secret, safe=""),
        lambda secret: quote_plus(secret).lower(),
        html.escape,
        lambda secret: "".join(f"&#{ord(one)};" for one in secret),
        lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
        lambda secret: "".join(f"\\u{ord(one):04x}" for one in secret),
        lambda secret: b64encode(f"user:{secret}".encode()).decode(),
    ],
)
def test_a_secret_escaped_another_way_is_masked(call: Call, humbug: Make, form: Callable[[str], str]) -> None:
    with Rude(lambda _: Act(body=f"for {form(GATEWAY)}: ok".encode())) as server:
        assert humbug(server.url, api_key=GATEWAY).send(call()).text == "for ***: ok"


def test_secrets_that_the_server_says_back_instead_of_http_are_masked(
    call: Call, humbug: Make, failure: Failure
) -> None:
    with Rude(lambda request: Act(raw=request.body + b"\r\n")) as server:
        plain = failure(humbug(server.url, api_key="gateway-key"), call())
        hidden = failure(humbug(server.url, api_key="gateway-key", encryption_key="zebra"), call())
        data = server.requests[1].form["data"]
    for error in (plain, hidden):
        assert "gateway-key" not in error.reason
        assert data[:40] not in error.reason


@pytest.mark.parametrize(("api_key", "key"), [("horse", "horse-battery"), ("horse-battery", "horse"), ("1", "zebra")])
def test_a_secret_within_another_does_not_unmask_it(call: Call, humbug: Make, api_key: str, key: str) -> None:
    with Rude(lambda request: Act(body=f"{api_key} {key} ".encode() + request.body)) as server:
        text = humbug(server.url, api_key=api_key, encryption_key=key).send(call()).text
    assert not re.search("horse|battery|zebra|[0-9a-f]{8}", text)


@pytest.mark.parametrize(
    "act", [Act(status=401), Act(status=400), Act(silent=True), Act(raw=b"hm\r\n"), Act(hang=True)]
)
def test_user_and_password_of_the_url_are_sent_and_not_shown(
    call: Call, humbug: Make, failure: Failure, act: Act
) -> None:
    with Rude([act]) as server:
        url = server.url.replace("127.0.0.1", "me:sesame@127.0.0.1") + "?token=pumpkin"
        error = failure(humbug(url, timeout=1), call())
    assert server.requests[0].headers["authorization"].startswith("Basic ")
    assert server.requests[0].target.endswith("?token=pumpkin")
    assert not re.search("me:|sesame|pumpkin", f"{error!r}{error.reason}")


def test_what_is_secret_of_the_url_and_said_back_is_masked(call: Call, humbug: Make, failure: Failure) -> None:
    def says_back(request: Request) -> Act:
        return Act(status=400, body=f"{request.target} {request.headers['authorization']} zebra-key".encode())

    with Rude(says_back) as server:
        url = server.url.replace("127.0.0.1", "me:sesame@127.0.0.1") + "?token=pumpkin"
        error = failure(humbug(url, api_key="zebra-key"), call())
        with pytest.raises(DeliveryError) as checked:
            humbug(url, api_key="zebra-key").check()
    for said in (error.reason, error.answer.text, checked.value.reason, checked.value.answer.text):
        assert not re.search(f"{b64encode(b'me:sesame').decode()}|pumpkin|zebra-key", said)
        assert "Basic ***" in said


def test_an_unreachable_url_shows_neither_user_nor_password(
    call: Call, humbug: Make, failure: Failure, free_port: int
) -> None:
    for host in (f"127.0.0.1:{free_port}", "name.invalid"):
        error = failure(humbug(f"https://me:sesame@{host}/?token=pumpkin"), call())
        assert not re.search("me:|sesame|pumpkin", error.reason)
        assert host in error.reason
