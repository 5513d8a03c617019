"""Home: system status, the last hour, failing webhooks and first steps of one account."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from portal.home import first_steps, last_hour, system_status
from portal.home.last_hour import MinuteCounts
from requests_queue import clock, heartbeats
from requests_queue.db.sql import DatabaseTime
from requests_queue.heartbeats import EXPIRES_AFTER, SCHEDULER, WORKER
from requests_queue.models import Heartbeat
from tests import html, make
from tests.portal.delivery_rows import attempt_at
from tests.portal.statements import counts
from tests.processes import free_port
from tests.signed_in import signed_in

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


OLD = [(WORKER, EXPIRES_AFTER + 100), (SCHEDULER, EXPIRES_AFTER + 100)]


@pytest.mark.parametrize(
    ("heartbeats", "name", "state", "text"),
    [
        ([], "Worker", "bad", "No heartbeat yet. Deliveries stay pending"),
        ([], "Worker", "bad", "Restart the sandbox"),
        ([], "Scheduler", "unknown", "Unknown until a worker runs."),
        (OLD, "Worker", "bad", "Last heartbeat 2 min ago."),
        (OLD, "Scheduler", "unknown", ""),
        # It has time to start.
        ([(WORKER, 1, EXPIRES_AFTER - 5)], "Scheduler", "unknown", ""),
        ([(WORKER, 1, EXPIRES_AFTER + 5)], "Scheduler", "bad", "Deliveries continue"),
        ([(WORKER, 1), (WORKER, 2), (WORKER, 3)], "Worker", "good",
         "3 processes. Last heartbeat 1 s ago."),
    ],
)  # fmt: skip
def test_component_has_a_state_by_its_heartbeats(
    heartbeats: list[Any], name: str, state: str, text: str
) -> None:
    for each in heartbeats:
        heartbeat(*each)
    assert component(name).state == state and text in component(name).text


def component(name: str) -> system_status.Component:
    return next(each for each in system_status.components() if each.name == name)


# -- system status


def test_all_components_are_running(vendor: Client) -> None:
    heartbeat(WORKER, 1)
    heartbeat(SCHEDULER, 3)
    page = html.get(vendor, "/")
    assert {each["data-state"] for each in page.all("[data-component]")} == {"good"}
    assert "Last heartbeat " in page.one("[data-component=Worker]")
    assert "Serving requests." in page.one("[data-component=Web]")


def test_worker_with_problem_is_shown_as_failing(vendor: Client) -> None:
    for kind, age in ((WORKER, 1), (WORKER, 2), (SCHEDULER, 3)):
        heartbeat(kind, age)
    failing = Heartbeat.objects.filter(process=f"{WORKER} 2")
    failing.update(problem="The delivery engine's loop (RuntimeError)")
    worker = component("Worker")
    assert (worker.state, worker.label) == ("bad", "Failing")
    shown = html.get(vendor, "/").one("[data-component=Worker]")
    assert "1 of 2 processes failing: The delivery engine's loop (RuntimeError)." in shown
    # The problem of a process that has stopped doesn't count.
    failing.update(at=DatabaseTime() - EXPIRES_AFTER - 1)
    assert component("Worker").state == "good"


def test_worker_of_a_server_has_its_own_remedy(settings: Any) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert "connect-sim manage worker" in component("Worker").text


def test_unreachable_broker_is_reported(settings: Any) -> None:
    heartbeat(WORKER, 1)
    heartbeat(SCHEDULER, EXPIRES_AFTER + 1)
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    broker = component("Broker")
    assert broker.state == "bad" and broker.text.startswith("No response within 500 ms.")
    assert component("Scheduler").text == "Unknown until the broker responds."


def test_broker_times_out(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        assert component("Broker").state == "bad"


# -- the last hour


def test_last_hour_counts_attempts_by_outcome(vendor: Client, catalog: make.Catalog) -> None:
    row = make.webhook(catalog)
    for outcome in ("success", "success", "failure"):
        attempt_at(row, clock.now(), outcome)
    page = html.get(vendor, "/").one("[aria-labelledby=hour]")
    assert page.terms() == {"Attempts": "3", "Succeeded": "2", "Failed": "1"}
    assert "2 succeeded, 1 failed" in page.one("#hour-table tbody tr")


def test_last_hour_without_attempts_says_so(vendor: Client, catalog: make.Catalog) -> None:
    attempt_at(make.webhook(catalog, account=catalog.provider), clock.now())
    assert "No attempts in the last hour" in html.get(vendor, "/")


def test_bars_fit_the_chart() -> None:
    now = clock.now()
    minutes = [(1, 0, 0), (0, 0, 0), (990, 9, 1), (0, 0, 1)]
    chart = last_hour.build_chart([MinuteCounts(now, *each) for each in minutes])
    numbers = {"top": 1000, "success": 991, "failure": 9, "unknown": 2, "total": 1002}
    assert {name: chart[name] for name in numbers} == numbers
    assert [bar["text"] for bar in chart["bars"]] == [
        "1 succeeded",
        "990 succeeded, 9 failed, 1 with an unknown outcome",
        "1 with an unknown outcome",
    ]
    segments = [segment for bar in chart["bars"] for segment in bar["segments"]]
    assert all(segment["y"] >= 0 and segment["height"] > 0.5 for segment in segments)
    assert [
        last_hour.build_chart([MinuteCounts(now, n)])["top"] for n in (0, 4, 5, 11, 99, 100, 101)
    ] == [4, 4, 5, 20, 100, 100, 200]


# -- failing webhooks


def test_failing_webhooks_have_reason_and_actions(vendor: Client, catalog: make.Catalog) -> None:
    now = clock.now()
    paused = make.webhook(catalog, n=1, out_of_order=True, failure_since_last_success=10)
    paused.last_failure = attempt_at(paused, now, "failure", error="Handler returned HTTP 500.")
    paused.save()
    make.webhook(
        catalog,
        n=2,
        round=1,
        earliest_possible_trigger=now + timedelta(minutes=5),
        failure_since_last_success=1,
    )
    failing = html.get(vendor, "/").by_role("heading", "Failing webhooks").parent
    assert failing is not None
    first, second = failing.all("[data-webhook]")
    badges = [each.one(".badge").text for each in (first, second)]
    assert (badges, first["data-webhook"]) == (["Out of order", "Backing off"], paused.pk)
    assert first.by_role("link", "Hook 1")["href"] == f"/webhooks/{paused.pk}/statistics/"
    reasons = (
        "Handler returned HTTP 500.",
        "10 failures since the last success.",
        "Paused: the webhook is out of order.",
        "1 pending delivery.",
    )
    assert [text for text in reasons if text not in first] == []
    assert "Failed (1 of 10). Next attempt in " in second
    assert first.by_role("button", "Recover Hook 1")
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
    def more(numbers: range) -> None:
        for n in numbers:
            row = make.webhook(catalog, n=n, out_of_order=True, events=1)
            row.last_failure = attempt_at(row, clock.now(), "failure")
            row.save()

    paths = "/", "/home/live/", "/password/"
    more(range(1, 2))
    heartbeats.record(WORKER)
    few = counts(vendor, *paths)
    more(range(2, 9))
    assert counts(vendor, *paths) == few
    # Session, user, account, time, heartbeats, failed jobs, last hour, failing webhooks and their
    # pending deliveries, progress, approvals.
    assert few[1] <= 12
