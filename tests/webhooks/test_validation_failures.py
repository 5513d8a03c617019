"""Errors of validators for the other account: what went wrong, without the handler's address."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from itertools import product
from typing import Any

import aiohttp
import pytest

from requests_queue.queues.fulfillment.models import Request
from tests.handlers import handler
from tests.make import Catalog
from tests.webhooks.hostile import Behavior, Server, resets_after, responds_and_stays
from tests.webhooks.loopback import loopback_only, names, once  # noqa: F401  (one is a fixture)
from tests.webhooks.test_secrets import everything_stored
from tests.webhooks.validating import (  # noqa: F401  (fixtures)
    called_validator,
    catalog,
    draft,
    platform,
    refused,
    row,
    validate,
    validator,
    validator_response,
)
from webhooks.delivery import validators
from webhooks.http import errors
from webhooks.http.client import RequestFailed
from webhooks.http.connection import BodyBroken, HeadTooLarge, Progress, TooManyInterim
from webhooks.http.errors import Target
from webhooks.models import Attempt

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("loopback_only"),
]
CANARY = "JWT-canary-91c7e2aa-5d0b-4f7e-8a11-2f60bb3c4d5e"
REFUSED = (
    "The handler refused the connection: nothing listens there. Start the handler, or correct the "
    "URL."
)
UNKNOWN = "The host name of the handler is unknown: correct the URL, or make the name resolvable."
FORBIDDEN = "The handler has an address that the simulator does not call."


def closed_port(host: str = "127.0.0.1") -> int:
    """Return an unused port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as probe:
        return int(probe.getsockname()[1])


def messages_for(url: str) -> tuple[str, str]:
    """Return the distributor's message, and the error of the attempt for the vendor."""
    catalog = platform()
    validator(catalog, url)
    [message] = refused(catalog, draft(catalog))
    return message, Attempt.objects.get().error


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "handler", "a", "connection", "nothing.example", "url"]
)
def test_connection_refused_is_reported_without_address(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    if host[0] not in "1[":
        names(monkeypatch, {host: ["127.0.0.1"]})
    port = closed_port(host.strip("[]") if host[0] in "1[" else "127.0.0.1")
    public, own = messages_for(f"http://{host}:{port}/hook?key=1")
    assert public == REFUSED
    assert own.startswith(f"{host}:{port} refused the connection")


def test_server_without_tls_is_reported_without_address() -> None:
    with handler() as served:
        public, own = messages_for(served.url.replace("http:", "https:"))
    assert public == ("The handler does not speak TLS: use http:// for this port, or another port.")
    assert own.startswith("127.0.0.1:")


@pytest.mark.parametrize(
    ("url", "message", "detail"),
    [
        ("http://shop.example/", UNKNOWN, "The host name shop.example is unknown"),
        ("http://169.254.169.254/latest/meta-data/", FORBIDDEN, "cannot be called"),
        ("http://[fd00:ec2::254]/", FORBIDDEN, "cannot be called"),
        ("http://[::ffff:169.254.169.254]:8080/", FORBIDDEN, "cannot be called"),
        ("http://meta.example/", FORBIDDEN, "cannot be called"),
        ("http://10.1.2.3/", FORBIDDEN, "cannot be called"),
    ],
)
def test_unknown_and_forbidden_addresses_are_not_reported(
    monkeypatch: pytest.MonkeyPatch, settings: Any, url: str, message: str, detail: str
) -> None:
    settings.SIM_ALLOW_NETWORKS = "loopback"
    names(monkeypatch, {"meta.example": ["169.254.169.254"]})
    public, own = messages_for(url)
    assert public == message
    assert detail in own and public not in own


REDIRECT = (
    b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://internal.example/x\r\n"
    b"Content-Length: 0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("behavior", "message", "detail"),
    [
        (
            responds_and_stays(REDIRECT),
            "Handler returned HTTP 307 (expected 2xx).",
            "a redirect to http://internal.example/x",
        ),
        (
            resets_after(b""),
            "The handler closed the connection without a response.",
            "127.0.0.1:",
        ),
    ],
    ids=["redirect", "closed connection"],
)
def test_response_is_reported_without_addresses(
    behavior: Behavior, message: str, detail: str
) -> None:
    with Server(behavior) as server:
        public, own = messages_for(server.url)
    assert public == message
    assert detail in own


def test_invalid_stored_url_and_headers_are_reported_without_values(catalog: Catalog) -> None:
    validator(catalog, "http://shop.example:99999/", 1)
    validator(catalog, "http://127.0.0.1:9/", 2, headers={"Host": "shop.example"})
    validator(catalog, "http://127.0.0.1:9/", 3, headers={"X-Key": "a\nb"})
    validator(catalog, "http://127.0.0.1:9/", 4, jwt_secret="")
    assert refused(catalog, draft(catalog)) == [
        "The handler's URL cannot be called.",
        "The webhook has a header that cannot be sent.",
        "The webhook has a header that cannot be sent.",
        "The request could not be signed.",
    ]


# -- each message, with and without the address


def _connector(cause: OSError) -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(None, cause)  # type: ignore[arg-type]


HIDDEN = ("s3cret.example", "8443")
EXCEPTIONS: list[Exception] = [
    *(_connector(OSError(number, "x")) for number in (
        errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT,
        errno.ECONNRESET, errno.EMFILE, errno.EACCES, 9999,
    )),
    socket.gaierror(socket.EAI_AGAIN, "x"), socket.gaierror(socket.EAI_NONAME, "x"),
    UnicodeError(), ssl.SSLError(1, "x"), TooManyInterim(), HeadTooLarge(),
    BodyBroken(), OSError(errno.EPIPE, "x"), ValueError("s3cret.example:8443"),
]  # fmt: skip


PROGRESS = [Progress(), Progress(answered=True)] + [
    Progress(start=start) for start in (b"SSH-2", b"HTTP/1.1 2", b"\x15\x03")
]


def test_no_public_message_names_the_handler() -> None:
    for exc, proxied, progress in product(EXCEPTIONS, (False, True), PROGRESS):
        place = Target(HIDDEN[0], int(HIDDEN[1]), True, proxied)
        own, others, _ = errors.describe_error(exc, place, progress)
        assert not any(part in others for part in HIDDEN), (exc, proxied, progress)
        for message in (own, others):
            assert message[0].isupper() or message.startswith(HIDDEN[0])
            assert message.endswith(".")
            assert "The proxy from" not in message and "to The" not in message
        if not any(part in own for part in HIDDEN):
            assert own == others


@pytest.mark.parametrize(
    ("host", "port", "peer"),
    [("shop.example", 443, "shop.example:443"), ("::1", 80, "[::1]:80"), ("a", 80, "a:80")],
)
def test_default_port_is_removed_from_public_message(host: str, port: int, peer: str) -> None:
    cause = _connector(OSError(errno.ECONNREFUSED, "x"))
    own, others, _ = errors.describe_error(cause, Target(host, port, False, False), Progress())
    assert own.startswith(f"{peer} refused the connection") and others == REFUSED


def test_message_is_public_unless_replaced() -> None:
    failed = RequestFailed("It failed.", error_class=errors.REQUEST)
    assert failed.public_message == "It failed."
    failure = asyncio.run(once("http://224.0.0.1/")).failure
    assert failure is not None and failure.public_message == FORBIDDEN


# -- secrets


def test_neither_secret_nor_token_is_stored_logged_or_shown(
    catalog: Catalog,
    row: Request,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    with called_validator(catalog, 500, jwt_secret=CANARY) as (served, _):
        message = refused(catalog, row)
        served.respond = lambda request: validator_response(region={"value_error": "No"})
        validate(catalog, row)
        tokens = [request.token for request in served.received]
    printed = caplog.text + "".join(capfd.readouterr()) + "".join(message)
    for text in (everything_stored(), printed):
        assert CANARY not in text
        assert not any(token in text for token in tokens)
    for tried in Attempt.objects.all():
        assert tried.request_headers["Authentication"] == "Bearer (decoded below)"
        assert tried.request_headers["Authorization"] == "Bearer (decoded below)"
        assert tried.claims["webhook_id"] == tried.webhook_id


def test_no_repr_of_a_request_has_the_secret(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    reprs: list[str] = []
    real = validators.send

    def send(calls: Any) -> Any:
        reprs.append(repr(calls))
        result = real(calls)
        reprs.append(repr(result))
        return result

    monkeypatch.setattr(validators, "send", send)
    with called_validator(catalog, validator_response(), jwt_secret=CANARY) as (served, _):
        validate(catalog, draft(catalog))
        token = served.next().token
    assert len(reprs) == 2
    assert "InFlight(" in reprs[0] and "AttemptResult(" in reprs[1]
    assert not any(CANARY in text or token in text for text in reprs)
