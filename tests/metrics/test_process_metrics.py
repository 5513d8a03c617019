"""What a process counts while it delivers, and that it costs nothing when it is off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from connect_sim.metrics import api_requests, exporter
from connect_sim.metrics.process_metrics import ProcessMetrics, buckets, error_class
from requests_queue.operations import WAITED
from tests import make
from tests.engines import running, until
from tests.handlers import handler
from tests.metrics.scraping import Samples, fetch, flat, samples
from tests.processes import free_port
from webhooks import signals, states
from webhooks.delivery import engine
from webhooks.delivery.attempt import AttemptResult
from webhooks.http import errors
from webhooks.models import Attempt, Delivery

CANARY = "canary-4711-secret"


@pytest.fixture
def metrics() -> Iterator[ProcessMetrics]:
    counted = ProcessMetrics()
    counted.connect()
    yield counted
    counted.disconnect()


def scrape(metrics: ProcessMetrics) -> Samples:
    return flat(metrics.registry.collect())


@pytest.mark.django_db(transaction=True)
def test_deliveries_are_counted(catalog: make.Catalog, metrics: ProcessMetrics) -> None:
    statuses = {"/ok": 200, "/gone": 410, "/down": 503, "/moved": 302}
    with handler(lambda request: statuses[request.path]) as served, running() as [one]:
        for n, path in enumerate(statuses, 1):
            make.webhook(catalog, served.url + path, n=n)
        make.webhook(catalog, f"http://127.0.0.1:{free_port()}/", n=9)
        make.order(catalog)
        one.wake()
        until(lambda: Attempt.objects.count() == 5, "all attempts are recorded")
    values = scrape(metrics)
    counted = {
        name: value
        for name, value in values.items()
        if name.startswith("connect_sim_attempts_total") and value
    }
    assert counted == {
        'connect_sim_attempts_total{error="none", outcome="success"}': 1,
        'connect_sim_attempts_total{error="http_4xx", outcome="failure"}': 1,
        'connect_sim_attempts_total{error="http_5xx", outcome="failure"}': 1,
        'connect_sim_attempts_total{error="http_3xx", outcome="failure"}': 1,
        'connect_sim_attempts_total{error="connect", outcome="failure"}': 1,
    }
    assert values['connect_sim_request_duration_seconds_count{kind="event"}'] == 5
    assert values['connect_sim_request_duration_seconds_count{kind="validator"}'] == 0
    # Without a connection no byte was sent.
    assert values["connect_sim_delivery_lag_seconds_count"] == 4
    assert 0 < values["connect_sim_delivery_lag_seconds_sum"] < 60
    assert values["connect_sim_deliveries_claimed_total"] == 5
    assert values["connect_sim_claims_total"] >= 1
    assert values["connect_sim_flushes_total"] >= 1
    assert values["connect_sim_flushes_failed_total"] == 0
    assert values['connect_sim_wakeups_total{kind="timer"}'] >= 0


@pytest.mark.django_db(transaction=True)
def test_attempts_of_a_rolled_back_flush_are_not_counted(
    catalog: make.Catalog, metrics: ProcessMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webhooks.delivery import claim, record

    make.webhook(catalog)
    make.order(catalog)
    result = AttemptResult(claim.claim(1).claims[0], states.SUCCESS, 12)

    def fail(**kwargs: Any) -> None:
        raise ValueError("an error of the program after the attempt is inserted")

    with monkeypatch.context() as patch:
        patch.setattr(signals.attempts_recorded, "send", fail)
        record.flush([result])
    values = scrape(metrics)
    assert values['connect_sim_attempts_total{error="none", outcome="success"}'] == 0
    assert values["connect_sim_flushes_failed_total"] == 1
    assert Delivery.objects.get().state != "delivered"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"outcome": states.SUCCESS}, "none"),
        ({"outcome": states.UNKNOWN, "stopped": True}, "stopped"),
        ({"outcome": states.UNKNOWN}, "worker_lost"),
        ({"outcome": states.FAILURE}, "internal"),
        ({"outcome": states.FAILURE, "error_class": "timeout"}, "timeout"),
    ],
)
def test_class_of_error(result: dict[str, Any], expected: str) -> None:
    claimed: Any = None
    assert error_class(AttemptResult(claimed, duration=1, **result)) == expected


def test_every_class_of_error_has_its_series() -> None:
    values = flat(ProcessMetrics().registry.collect())
    for error in errors.ERROR_CLASSES:
        assert f'connect_sim_attempts_total{{error="{error}", outcome="failure"}}' in values


def test_buckets_end_with_the_timeout() -> None:
    assert buckets(300)[-3:] == [60, 120, 300]
    assert buckets(0.3) == [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3]


def test_nothing_is_connected_without_the_setting(settings: Any) -> None:
    settings.SIM_METRICS_PORT = 0
    exporter.start()
    assert not signals.request_sent.receivers
    assert not signals.engine_woken.receivers
    assert not signals.flush_failed.receivers
    assert "connect_sim.metrics.api_requests.count" not in settings.MIDDLEWARE


@pytest.fixture
def exported(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Export the metrics of this process."""
    monkeypatch.setattr(exporter, "_metrics", None)
    settings.SIM_METRICS_PORT = free_port()
    exporter.start()
    running = exporter._metrics
    assert running is not None
    yield f"http://127.0.0.1:{settings.SIM_METRICS_PORT}/metrics"
    running.disconnect()
    exporter.stop()


def test_port_that_is_taken_is_a_clear_error(exported: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(exporter, "_metrics", None)
    with pytest.raises(exporter.PortTaken) as raised:
        exporter.start()
    text = str(raised.value)
    port = exported.rpartition(":")[2].partition("/")[0]
    assert text.startswith(f"Error: SIM_METRICS_PORT: cannot bind port {port} of 127.0.0.1 (")
    assert "\n" not in text and text.endswith("set another one for this process.")


@pytest.mark.django_db
def test_api_requests_are_counted_by_route(exported: str, settings: Any) -> None:
    settings.MIDDLEWARE = ["connect_sim.metrics.api_requests.count", *settings.MIDDLEWARE]
    client = Client()
    for n in range(3):
        client.get(f"/public/v1/requests/PR-{CANARY}-{n}?token={CANARY}")
    # The web server has let it wait.
    client.get(f"/public/v1/{CANARY}/x", **{WAITED: 100.0})  # type: ignore[arg-type]
    client.generic(CANARY.upper(), "/public/v1/requests")
    client.get("/sign-in/")
    text = fetch(exported)[1]
    values = {k: v for k, v in samples(text).items() if k.startswith("connect_sim_api_requests")}
    assert values == {
        'connect_sim_api_requests_total{method="GET", route="/public/v1/requests/{pk}", '
        'status="4xx"}': 3,
        'connect_sim_api_requests_total{method="GET", route="unknown", status="4xx"}': 1,
        'connect_sim_api_requests_total{method="other", route="/public/v1/requests", '
        'status="4xx"}': 1,
    }
    assert samples(text)["connect_sim_api_request_duration_seconds_count"] == 5
    assert 100 <= samples(text)["connect_sim_api_request_duration_seconds_sum"] < 110
    assert CANARY not in text.lower()


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ("public/v1/requests/<str:pk>/approve", "/public/v1/requests/{pk}/approve"),
        ("public/v1/^x/(?P<pk>[^/.]+)/$", "/public/v1/x/{pk}/"),
        ("^public(/.*)?$", "unknown"),
    ],
)
def test_route_is_shown_as_a_path(route: str, path: str) -> None:
    assert api_requests.normalize(route) == path


def test_engine_of_a_process_reports_its_requests() -> None:
    assert engine.requests_in_flight() == 0
