"""SIM_OTLP_ENDPOINT: a trace from an API request to the webhook request, and back."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from connect_sim import checks, tracing
from connect_sim.tracing import providers
from connect_sim.tracing.attempt_spans import BUCKETS, redact_url
from tests import orders, otlp
from tests.engines import until
from tests.handlers import Handler, handler
from tests.otlp import CLIENT, ERROR, INTERNAL, SERVER, Collector, Span, collector
from tests.processes import Sandbox, environment, free_port, manage, output, sandbox
from webhooks import conf
from webhooks import tracing as hooks
from webhooks.delivery.attempt import AttemptResult, InFlight
from webhooks.delivery.claim import Claim
from webhooks.delivery.request import WebhookSettings
from webhooks.http.client import Request

# Of a client of the API that has a trace of its own.
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER, QUERY = "canary-of-a-configured-header", "canary-of-a-query"
# How often spans and metrics are sent, in milliseconds.
OFTEN = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "100"}
INVALID = (
    "", "x", "00", f"00-{TRACE}-{PARENT}", f"00-{TRACE}-{PARENT}-01-extra",
    f"ff-{TRACE}-{PARENT}-01",
    f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE.upper()}-{PARENT}-01",
    f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01", "00-" + "a" * 5000, "\xe9\xff", "%00",
)  # fmt: skip


@dataclass
class Traced:
    """A sandbox, its collector, and a handler with a webhook."""

    running: Sandbox
    collector: Collector
    handler: Handler

    def span(self, what: str, **expected: Any) -> Span:
        """Wait for the one span with these values."""
        [span] = until(lambda: self.collector.find(**expected), what)
        return span

    def purchase(self, traceparent: str = "") -> Span:
        """Order as a client with a trace context, and return the span of the request."""
        before = {span.id for span in self.creations()}
        client = replace(self.running, headers={"traceparent": traceparent} if traceparent else {})
        orders.purchase(client)
        new = until(lambda: [s for s in self.creations() if s.id not in before], "the request")
        return new[0]

    def creations(self) -> list[Span]:
        return self.collector.find(
            kind=SERVER, http_route="/public/v1/requests", http_request_method="POST"
        )


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("traced")
    with (
        collector() as receiving,
        handler() as served,
        sandbox(folder, SIM_OTLP_ENDPOINT=receiving.url, **OFTEN) as running,
    ):
        yield Traced(running, receiving, served)


def assert_no_secret(traced: Traced) -> None:
    keys = (traced.running.vendor_key, traced.running.provider_key)
    tokens = [request.token for request in traced.handler.received]
    secrets = [orders.SECRET, HEADER, QUERY, *(key.partition(":")[2] for key in keys), *tokens]
    sent = b"".join(traced.collector.bodies)
    assert sent and tokens and not [secret for secret in secrets if secret.encode() in sent]


@pytest.fixture
def hook(traced: Traced) -> Iterator[str]:
    traced.handler.respond = lambda request: 200
    url = f"{traced.handler.url}path?key={QUERY}&{QUERY}"
    with orders.subscribed(traced.running, url, http={"headers": {"X-A": HEADER}}) as hook:
        yield hook


def test_trace_leads_from_api_request_to_webhook_request_and_back(
    traced: Traced, hook: str
) -> None:
    request = traced.purchase(f"00-{TRACE}-{PARENT}-01")
    assert (request.trace, request.parent) == (TRACE, PARENT)
    assert request.name == "POST /public/v1/requests"
    assert request.attributes["http.response.status_code"] == 201
    assert request.attributes["connect_sim.account"] == "PA-318-442"
    received = traced.handler.next().headers["traceparent"]
    attempt = traced.span("the attempt", kind=INTERNAL, connect_sim_webhook=hook)
    call = traced.span("the webhook request", kind=CLIENT, parent=attempt.id)
    assert (attempt.trace, attempt.parent) == (TRACE, request.id)
    assert received.split("-")[1:3] == [TRACE, call.id]
    # From the change on, which is inside the request.
    assert request.start <= attempt.start + 1_000_000 <= call.start + 2_000_000
    assert call.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": int(traced.handler.url.rstrip("/").rpartition(":")[2]),
        "url.full": f"{traced.handler.url}path?key=REDACTED&REDACTED",
    }
    assert (attempt.attributes["connect_sim.attempt"], call.status) == (1, 0)
    assert call.resource["service.name"] == "connect-sim"
    # The handler's own calls continue the trace.
    client = replace(traced.running, headers={"traceparent": received})
    client.as_vendor("GET", "/requests")
    assert traced.span("the call", kind=SERVER, parent=call.id).trace == TRACE
    assert_no_secret(traced)


@pytest.mark.parametrize("traceparent", INVALID)
def test_invalid_trace_context_is_ignored(traced: Traced, traceparent: str) -> None:
    client = replace(traced.running, headers={"traceparent": traceparent.encode("latin-1")})
    before = len(traced.collector.find(kind=SERVER, http_route="/public/v1/accounts"))
    client.as_vendor("GET", "/accounts")
    spans = until(
        lambda: traced.collector.find(kind=SERVER, http_route="/public/v1/accounts")[before:],
        "the request",
    )
    assert not spans[0].parent and spans[0].trace != TRACE


def test_failure_has_the_class_of_the_error(traced: Traced, hook: str) -> None:
    traced.handler.respond = lambda request: (500, QUERY.encode())
    traced.purchase()
    traced.handler.next()
    attempt = traced.span("the attempt", kind=INTERNAL, connect_sim_webhook=hook)
    call = traced.span("the request", kind=CLIENT, parent=attempt.id)
    assert call.attributes["error.type"] == "500" and call.status == attempt.status == ERROR
    assert attempt.attributes["connect_sim.outcome"] == "failure"
    assert_no_secret(traced)


def test_duration_of_requests_is_a_histogram_in_seconds(traced: Traced, hook: str) -> None:
    traced.handler.respond = lambda request: 503
    traced.purchase()
    traced.handler.next()
    name = "http.client.request.duration"

    def points() -> list[Any]:
        return [
            point
            for point in traced.collector.histograms.get(name, ())
            if otlp.attributes(point).get("http.response.status_code") == 503
        ]

    point = until(points, "the metric")[0]
    assert traced.collector.units[name] == "s" and list(point.explicit_bounds) == list(BUCKETS)
    assert point.count == 1 and 0 < point.sum < 60
    assert otlp.attributes(point) == {
        "http.request.method": "POST",
        "http.response.status_code": 503,
        "error.type": "503",
        "server.address": "127.0.0.1",
        "server.port": int(traced.handler.url[:-1].split(":")[2]),
    }


def test_refused_connection_is_an_error_without_status(traced: Traced) -> None:
    with orders.subscribed(traced.running, f"http://127.0.0.1:{free_port()}/") as hook:
        traced.purchase()
        attempt = traced.span("the attempt", kind=INTERNAL, connect_sim_webhook=hook)
        call = traced.span("the request", kind=CLIENT, parent=attempt.id)
    assert call.attributes["error.type"] == "connect"
    assert "http.response.status_code" not in call.attributes and call.status == ERROR


def test_retry_links_to_the_changes_that_joined_its_delivery(traced: Traced, hook: str) -> None:
    traced.handler.respond = lambda request: 500
    first = traced.purchase()
    traced.handler.next()
    orders.until_stats(traced.running, hook, failure_triggers=1)
    joining = [traced.purchase(), traced.purchase(f"00-{TRACE}-{PARENT}-01")]
    traced.handler.respond = lambda request: 200
    traced.running.advance("5m")
    traced.handler.next()
    retry = traced.span("the retry", kind=INTERNAL, connect_sim_webhook=hook, connect_sim_attempt=2)
    assert (retry.trace, retry.parent) == (first.trace, first.id)
    assert retry.links == [(span.trace, span.id) for span in joining]
    call = traced.span("the request", kind=CLIENT, parent=retry.id)
    assert call.attributes["http.request.resend_count"] == 1
    # It begins with the claim, not with the change.
    assert retry.start > joining[1].end


def test_portal_action_is_traced_without_its_path(traced: Traced) -> None:
    requests.post(f"{traced.running.url}/sign-in/admin/{QUERY}", timeout=10)
    span = traced.span("the page", kind=SERVER, http_route="/sign-in/<str:uid>/<str:token>")
    assert "url.path" not in span.attributes


def test_nothing_is_imported_when_it_is_off(tmp_path: Path) -> None:
    """Nor anything else that a sandbox needs later or never: it would start later, and larger."""
    script = (
        "import sys; from connect_sim import runtime, tracing, wsgi; tracing.start();"
        "from connect_sim.management.commands import sandbox;"
        "from webhooks.tracing import mark_event; names = {'opentelemetry', 'redis', 'psycopg',"
        "'requests', 'pygments', 'lark', 'openpyxl', 'connect_sim.urls', 'checks.lab'};"
        "print(sorted(names & set(sys.modules)), mark_event())"
    )
    # A process of its own: the one that tests fork from has imported more.
    command = manage("shell", "-v0", "-c", script)
    assert output(command, environment(tmp_path)).strip() == "[] None"


def test_missing_packages_are_one_error(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SIM_OTLP_ENDPOINT = "http://127.0.0.1:4318"
    assert tracing.is_installed() and not checks.serious_errors()
    for missing in ("opentelemetry.sdk.missing", "missing.sdk"):
        monkeypatch.setattr(tracing, "PACKAGES", (*tracing.PACKAGES, missing))
        [error] = checks.serious_errors()
        assert error.msg == "SIM_OTLP_ENDPOINT is set, but OpenTelemetry is not installed."
        assert error.hint and "connect-sim[otel]" in error.hint


def test_attempt_with_an_error_of_its_trace_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def begin_attempt(self, claimed: Claim) -> Any:
            return object() if claimed.marks else 1 / 0

    monkeypatch.setattr(hooks, "tracer", Broken())
    with handler() as served:
        for marks in ((), ("1 x",)):
            one = InFlight(claimed_delivery(*marks, url=served.url))
            assert asyncio.run(run(one)).outcome == "success"
    # No span, and one that can neither begin a request nor end.
    assert len(caplog.records) == 3


async def run(one: InFlight) -> AttemptResult:
    transport = conf.open_transport()
    try:
        return await one.run(transport)
    finally:
        await transport.close()


def claimed_delivery(*marks: str, url: str = "http://127.0.0.1/") -> Claim:
    texts = dict.fromkeys(("type", "label", "object_class", "account_id", "product_id"), "x")
    moments = dict.fromkeys(each.name for each in fields(WebhookSettings))
    values = {**moments, **texts, "id": "WH-1", "external_url": url, "http_method": "POST"}
    values |= {"jwt_secret": "x" * 40, "headers": {}, "data": {}, "revision": 0}
    settings: Any = WebhookSettings(**values)
    return Claim(1, uuid.uuid4(), 1, False, datetime.now(UTC), settings, marks=marks)


def test_stop_does_not_wait_for_a_collector_that_is_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    monkeypatch.setattr(providers, "STOP", 0.1)
    providers.start(f"http://127.0.0.1:{free_port()}")
    try:
        assert hooks.tracer is not None
        span = hooks.tracer.begin_attempt(claimed_delivery("1 x", "2"))
        assert span.begin_request(Request("POST", "http://127.0.0.1/", {}, None))
        span.end("failure", None, "timeout")
    finally:
        began = time.monotonic()
        providers.stop()
    assert time.monotonic() - began < 1.8
    until(lambda: not any("Otel" in each.name for each in threading.enumerate()), "they give up")
    assert hooks.tracer is None and hooks.mark_event() is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h/", "http://h/"),
        ("https://user:word@h:8443/a/b?key=word&word#word", "https://h:8443/a/b?key=REDACTED&REDACTED"),
        ("http://[::1]:9/?a=word=word&b=", "http://[::1]:9/?a=REDACTED&b=REDACTED"),
        ("http://h/?word", "http://h/?REDACTED"),
    ],
)  # fmt: skip
def test_url_is_without_credentials_and_values_of_its_query(url: str, shown: str) -> None:
    assert redact_url(url) == shown
