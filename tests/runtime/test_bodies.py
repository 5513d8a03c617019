"""Request bodies: size limits, counted on arrival, and no files for unauthenticated clients."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.wsgi import get_wsgi_application

from connect_sim.server import bodies
from tests import make
from tests.api import Caller, caller
from tests.background import in_loop
from tests.runtime.serving import App, ask, ask_last, connect, exchange, head, serving
from tests.runtime.test_http import echo

pytestmark = pytest.mark.django_db(transaction=True)
MIB = 1024 * 1024
API = "/public/v1/notifications/webhooks"


@pytest.fixture
def url(settings: Any) -> Iterator[str]:
    settings.SIM_MAX_BODY = MIB
    with serving(get_wsgi_application(), settings, threads=2) as address:
        yield address


@pytest.fixture
def vendor(catalog: make.Catalog) -> Caller:
    return caller(catalog.vendor)


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the creation of temporary files."""
    created: list[int] = []

    original = tempfile.TemporaryFile

    def record(*arguments: Any, **options: Any) -> Any:
        created.append(1)
        return original(*arguments, **options)

    monkeypatch.setattr(bodies.tempfile, "TemporaryFile", record)
    return created


def post(
    url: str,
    body: bytes,
    *headers: str,
    target: str = API,
    chunked: bool = False,
    declared: int | None = None,
) -> tuple[int, dict[str, str], bytes]:
    with connect(url) as line:
        length = (
            "Transfer-Encoding: chunked" if chunked else f"Content-Length: {declared or len(body)}"
        )
        lines = "".join(f"{header}\r\n" for header in (length, *headers))
        line.sendall(head(target, lines.encode(), "POST"))
        if chunked:
            chunks = (body[n : n + 65536] for n in range(0, len(body), 65536))
            body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
            body += b"0\r\n\r\n"
        response = exchange(line, body)
        # The server has read the whole body, so the next request on the connection works.
        if declared is None:
            assert exchange(line, head("/public/v1/requests"))[0] == 401
        return response


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("key", ["", "Authorization: ApiKey SU-000-000-000:nothing"])
def test_body_above_the_limit_gets_413_in_connects_envelope(
    url: str, stored: list[int], chunked: bool, key: str
) -> None:
    headers = [key] if key else []
    if chunked:
        # Without a valid key the limit is lower.
        status, _, content = post(url, b"x" * (MIB + 1), *headers, chunked=True)
        assert (status, json.loads(content)["error_code"]) == (401, "AUTH_001")
    else:
        status, received, content = post(url, b"x" * (MIB + 1), *headers)
        assert (status, received["content-type"]) == (413, "application/json")
        assert json.loads(content) == {
            "error_code": "REQ_413",
            "errors": ["The request body is larger than 1 MiB."],
        }
    assert stored == []


def test_chunked_body_above_the_limit_gets_413_with_valid_key(
    url: str, vendor: Caller, stored: list[int]
) -> None:
    key = f"Authorization: ApiKey {vendor.key}"
    status, received, content = post(url, b"x" * (3 * MIB), key, chunked=True)
    assert (status, received["content-type"]) == (413, "application/json")
    assert json.loads(content)["errors"] == ["The request body is larger than 1 MiB."]
    assert received["connect-version"]
    # Up to the limit it is stored in a file.
    assert len(stored) == 1


def test_wrong_content_length_does_not_bypass_the_limit(url: str, stored: list[int]) -> None:
    status, _, content = post(url, b"x", declared=1 << 40)
    assert (status, json.loads(content)["error_code"]) == (413, "REQ_413")
    status, _, _ = post(url, b"x" * 100_000, declared=MIB)
    assert status == 401
    assert stored == []


@pytest.mark.parametrize("chunked", [False, True])
def test_large_body_without_valid_key_gets_401_and_is_not_stored(
    url: str, stored: list[int], chunked: bool
) -> None:
    status, received, content = post(url, b"x" * 700_000, chunked=chunked)
    assert (status, json.loads(content)["error_code"]) == (401, "AUTH_001")
    assert received["www-authenticate"] == "ApiKey"
    assert stored == []


@pytest.mark.parametrize("chunked", [False, True])
def test_large_body_with_valid_key_reaches_the_view(
    url: str, vendor: Caller, stored: list[int], chunked: bool
) -> None:
    body = json.dumps({"label": "x" * 700_000}).encode()
    key = f"Authorization: ApiKey {vendor.key}"
    status, _, content = post(url, body, key, "Content-Type: application/json", chunked=chunked)
    assert status == 400 and b"label" in content
    assert stored == [1]


def test_large_body_of_a_page_requires_sign_in(url: str, stored: list[int]) -> None:
    status, headers, content = post(url, b"x" * 100_000, target="/sign-in/")
    assert status == 413 and headers["content-type"].startswith("text/html")
    assert b"larger than 64 KiB" in content
    assert stored == []
    status, headers, content = post(url, b"x" * (MIB + 1), target="/sign-in/")
    assert status == 413 and b"The request body is larger than 1 MiB." in content
    assert "content-security-policy" in headers


def test_signed_in_user_may_send_a_large_form(url: str, catalog: make.Catalog, client: Any) -> None:
    client.force_login(catalog.vendor_user)
    name = django_settings.SESSION_COOKIE_NAME
    cookie = f"Cookie: {name}={client.cookies[name].value}"
    status, _, content = post(url, b"x" * 100_000, cookie, target="/queues/")
    # Not 413: the CSRF check has refused it.
    assert status == 403, content


def test_limit_of_a_form_allows_for_its_fields(settings: Any) -> None:
    settings.SIM_MAX_BODY = 10_000
    form = "Content-Type: multipart/form-data; boundary=x"
    with serving(echo, settings) as url:
        for size, kind, expected in (
            (10_000, "text/plain", (10_000, None)),
            (10_001, "text/plain", (0, "too large")),
            (60_000, form[14:], (60_000, None)),
        ):
            more = f"Content-Type: {kind}\r\nContent-Length: {size}\r\n".encode()
            environ = json.loads(ask(url, head("/", more, "POST") + b"x" * size)[2])
            # `echo` ignores the key, and gets an empty body if it is too large.
            question = environ.get("connect_sim.question")
            assert (environ["size"], question) == expected


def test_refused_body_gets_no_100_continue(url: str) -> None:
    for length, expected in ((MIB + 1, 413), (100_000, 401)):
        more = f"Expect: 100-continue\r\nContent-Length: {length}\r\n".encode()
        assert ask_last(url, head(API, more, "POST"))[0] == expected


@in_loop
async def test_time_in_which_the_server_decides_about_a_body_is_not_its_clients() -> None:
    """The client of `Expect: 100-continue` sends nothing until then."""
    loop, waited = asyncio.get_running_loop(), 0.0
    now = loop.time
    loop.time = lambda: now() + waited  # type: ignore[method-assign]

    async def decide() -> None:
        nonlocal waited
        waited = 3600

    async def receive() -> Any:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x" * 100_000}

    body = bodies.Body({"headers": [(b"content-length", b"100000")]})
    with body.file:
        await body.receive(receive, decide)
        assert body.size == 100_000


def test_incomplete_body_does_not_reach_django(settings: Any) -> None:
    app = App()
    with serving(app, settings) as url:
        with connect(url) as line:
            line.sendall(head("/half", b"Content-Length: 10\r\n", "POST") + b"abc")
        assert ask(url, head("/whole"))[0] == 200
    assert list(app.arrived.queue) == ["/whole"]


def test_slow_body_uses_no_thread(settings: Any) -> None:
    with serving(echo, settings, threads=1) as url:
        slow = [connect(url) for _ in range(5)]
        for line in slow:
            line.sendall(head("/", b"Content-Length: 2\r\n", "POST") + b"a")
        assert ask(url, head("/"))[0] == 200
        for line in slow:
            assert json.loads(exchange(line, b"b")[2])["body"] == "ab"
            line.close()


def test_full_disk_gets_503_in_connects_envelope(
    url: str, vendor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **options: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bodies.tempfile, "TemporaryFile", full)
    more = f"Authorization: ApiKey {vendor.key}\r\nContent-Length: 900000\r\n".encode()
    status, headers, content = ask(url, head(API, more, "POST") + b"x" * 900_000)
    assert (status, headers["content-type"]) == (503, "application/json")
    assert json.loads(content)["error_code"] == "SYS_503"
