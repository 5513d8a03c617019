"""Home: system status, the last hour, failing webhooks and first steps of one account."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.home import first_steps, last_hour, system_status
from portal.home.last_hour import MinuteCounts
from requests_queue import clock, heartbeats
from requests_queue.db.sql import DatabaseTime
from requests_queue.heartbeats import EXPIRES_AFTER, SCHEDULER, WORKER
from requests_queue.models import Heartbeat
from tests import html, make
from tests.processes import free_port
from tests.signed_in import signed_in
from webhooks.models import Attempt, Delivery, Webhook

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide handlers that may be running on this machine."""
    monkeypatch.setattr(first_steps, "COMMAND_LINES", [])


@pytest.fixture
def vendor(catalog: make.Catalog) -> Client:
    return signed_in(catalog.vendor_user)


def heartbeat(kind: str, age: float, since: float = 100) -> None:
    now = DatabaseTime()
    Heartbeat.objects.create(process=f"{kind} {age}", kind=kind, at=now - age, since=now - since)


def component(name: str) -> system_status.Component:
    return next(each for each in system_status.components() if each.name == name)


def attempt(row: Webhook, outcome: str, **more: Any) -> Attempt:
    now = clock.now()
    delivery = Delivery.objects.create(webhook=row, state="waiting", created_at=now)
    return Attempt.objects.create(
        webhook=row,
        delivery=delivery,
        number=1,
        outcome=outcome,
        started_at=now,
        finished_at=now,
        duration=5,
        method="POST",
        url=row.external_url,
        **more,
    )


# -- system status


def test_all_components_are_running(vendor: Client) -> None:
    heartbeat(WORKER, 1)
    heartbeat(SCHEDULER, 3)
    page = html.get(vendor, "/")
    assert {each["data-state"] for each in page.all("[data-component]")} == {"good"}
    assert "Last heartbeat " in page.one("[data-component=Worker]")
    assert "Serving requests." in page.one("[data-component=Web]")


def test_worker_with_problem_is_shown_as_failing(vendor: Client) -> None:
    heartbeat(WORKER, 1)
    heartbeat(WORKER, 2)
    heartbeat(SCHEDULER, 3)
    Heartbeat.objects.filter(process=f"{WORKER} 2").update(
        problem="The delivery engine's loop (RuntimeError)"
    )
    worker = component("Worker")
    assert (worker.state, worker.label) == ("bad", "Failing")
    shown = html.get(vendor, "/").one("[data-component=Worker]")
    assert "1 of 2 processes failing: The delivery engine's loop (RuntimeError)." in shown
    # The problem of a process that has stopped doesn't count.
    Heartbeat.objects.filter(process=f"{WORKER} 2").update(at=DatabaseTime() - EXPIRES_AFTER - 1)
    assert component("Worker").state == "good"


def test_scheduler_is_unknown_without_a_worker() -> None:
    worker, scheduler = component("Worker"), component("Scheduler")
    assert (worker.state, scheduler.state) == ("bad", "unknown")
    assert worker.text.startswith("No heartbeat yet. Deliveries stay pending")
    assert scheduler.text == "Unknown until a worker runs."


def test_old_heartbeats_are_shown_with_their_age() -> None:
    heartbeat(WORKER, EXPIRES_AFTER + 100)
    heartbeat(SCHEDULER, EXPIRES_AFTER + 100)
    assert component("Worker").text.startswith("Last heartbeat 2 min ago.")
    assert component("Scheduler").state == "unknown"


def test_scheduler_has_time_to_start() -> None:
    heartbeat(WORKER, 1, since=EXPIRES_AFTER - 5)
    assert component("Scheduler").state == "unknown"
    Heartbeat.objects.update(since=DatabaseTime() - EXPIRES_AFTER - 5)
    assert component("Scheduler").state == "bad"
    assert "Deliveries continue" in component("Scheduler").text


def test_remedy_depends_on_the_installation(settings: Any) -> None:
    assert "Restart the sandbox" in component("Worker").text
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert "connect-sim manage worker" in component("Worker").text


def test_unreachable_broker_is_reported(settings: Any) -> None:
    heartbeat(WORKER, 1)
    heartbeat(SCHEDULER, EXPIRES_AFTER + 1)
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert component("Broker").state == "bad"
    assert component("Broker").text.startswith("No response within 500 ms.")
    assert component("Scheduler").text == "Unknown until the broker responds."


def test_worker_processes_are_counted() -> None:
    for age in (1, 2, 3):
        heartbeat(WORKER, age)
    assert component("Worker").text == "3 processes. Last heartbeat 1 s ago."


def test_broker_times_out(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        assert component("Broker").state == "bad"


# -- the last hour


def test_last_hour_counts_attempts_by_outcome(vendor: Client, catalog: make.Catalog) -> None:
    row = make.webhook(catalog)
    for outcome in ("success", "success", "failure"):
        attempt(row, outcome)
    page = html.get(vendor, "/").one("[aria-labelledby=hour]")
    assert page.terms() == {"Attempts": "3", "Succeeded": "2", "Failed": "1"}
    assert "2 succeeded, 1 failed" in page.one("#hour-table tbody tr")


def test_last_hour_without_attempts_says_so(vendor: Client, catalog: make.Catalog) -> None:
    attempt(make.webhook(catalog, account=catalog.provider), "success")
    assert "No attempts in the last hour" in html.get(vendor, "/")


def test_bars_fit_the_chart() -> None:
    now = clock.now()
    chart = last_hour.build_chart(
        [
            MinuteCounts(now, 1, 0, 0),
            MinuteCounts(now),
            MinuteCounts(now, 990, 9, 1),
            MinuteCounts(now, 0, 0, 1),
        ]
    )
    assert chart["top"] == 1000
    assert [chart[name] for name in ("success", "failure", "unknown", "total")] == [991, 9, 2, 1002]
    assert [bar["text"] for bar in chart["bars"]] == [
        "1 succeeded",
        "990 succeeded, 9 failed, 1 with an unknown outcome",
        "1 with an unknown outcome",
    ]
    for bar in chart["bars"]:
        for segment in bar["segments"]:
            assert segment["y"] >= 0 and segment["height"] > 0.5
    assert [
        last_hour.build_chart([MinuteCounts(now, n)])["top"] for n in (0, 4, 5, 11, 99, 100, 101)
    ] == [4, 4, 5, 20, 100, 100, 200]


# -- failing webhooks


def test_failing_webhooks_have_reason_and_actions(vendor: Client, catalog: make.Catalog) -> None:
    paused = make.webhook(catalog, n=1, out_of_order=True, failure_since_last_success=10)
    paused.last_failure = attempt(paused, "failure", error="Handler returned HTTP 500.")
    paused.save()
    backoff_until = clock.now() + timedelta(minutes=5)
    make.webhook(
        catalog, n=2, round=1, earliest_possible_trigger=backoff_until, failure_since_last_success=1
    )
    failing = html.get(vendor, "/").by_role("heading", "Failing webhooks").parent
    assert failing is not None
    first, second = failing.all("[data-webhook]")
    assert first.one(".badge").text == "Out of order" and first["data-webhook"] == paused.pk
    assert first.by_role("link", "Hook 1")["href"] == f"/webhooks/{paused.pk}/statistics/"
    for text in (
        "Handler returned HTTP 500.",
        "10 failures since the last success.",
        "Paused: the webhook is out of order.",
        "1 pending delivery.",
    ):
        assert text in first
    assert first.by_role("button", "Recover Hook 1")
    assert second.one(".badge").text == "Backing off"
    assert "Failed (1 of 10). Next attempt in " in second
    assert not second.roles("button", "Recover Hook 2")
    assert second.by_role("button", "Trigger now: Hook 2")


def test_healthy_account_has_no_failing_webhooks(vendor: Client, catalog: make.Catalog) -> None:
    make.webhook(catalog)
    page = html.get(vendor, "/")
    assert "No failing webhooks." in page and not page.all("[data-webhook]")


# -- access and cost


@pytest.mark.parametrize("path", ["/", "/home/live/"])
def test_home_is_read_only(vendor: Client, path: str) -> None:
    assert vendor.post(path).status_code == 405


def test_number_of_statements_is_constant(vendor: Client, catalog: make.Catalog) -> None:
    def statements(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert vendor.get(path).status_code == 200
        return len(queries)

    def more(numbers: range) -> None:
        for n in numbers:
            row = make.webhook(catalog, n=n, out_of_order=True, events=1)
            row.last_failure = attempt(row, "failure")
            row.save()

    more(range(1, 2))
    heartbeats.record(WORKER)
    few = [statements(path) for path in ("/", "/home/live/", "/password/")]
    more(range(2, 9))
    assert [statements(path) for path in ("/", "/home/live/", "/password/")] == few
    # Session, user, account, time, heartbeats, failed jobs, last hour, failing webhooks and their
    # pending deliveries, progress, approvals.
    assert few[1] <= 12
