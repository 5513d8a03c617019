"""When the next attempt is, and why: never a past time, and always a correct reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from requests_queue import clock, heartbeats
from requests_queue.models import Clock
from tests import make
from tests.api import Caller, caller
from webhooks import next_attempt
from webhooks.models import Delivery, Webhook
from webhooks.next_attempt import WorkerLoad

pytestmark = pytest.mark.django_db

NOW = make.AT + timedelta(days=9)
S = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def frozen(db: None) -> None:
    Clock.objects.update_or_create(pk=1, defaults={"frozen_at": NOW})


@pytest.fixture
def worker(frozen: None) -> Any:
    """A worker process with a heartbeat."""
    heartbeats.delete(heartbeats.WORKER)
    heartbeats.record(heartbeats.WORKER)
    yield
    heartbeats.delete(heartbeats.WORKER)


def delivery(row: Webhook, **more: Any) -> Delivery:
    return Delivery.objects.create(webhook=row, created_at=NOW, **more)


def why(row: Delivery) -> str:
    result = next_attempt.of_delivery(row, NOW)
    assert result.why.startswith("Due now") and result.moment is None
    return result.why


@pytest.mark.parametrize(
    ("at", "now", "text"),
    [
        (NOW + 300 * S, NOW, "Next attempt in 5 min, at 09:05:00 UTC."),
        (NOW + 300.9 * S, NOW, "Next attempt in 5 min, at 09:05:00 UTC."),
        (NOW + 9600 * S, NOW, "Next attempt in 2 h 40 min, at 11:40:00 UTC."),
        (NOW + 0.2 * S, NOW, "Next attempt in 1 s, at 09:00:00 UTC."),
        (NOW + timedelta(days=1), NOW, "Next attempt in 1 d, at 2026-11-11 09:00:00 UTC."),
    ],
)
def test_next_attempt_as_text(at: datetime, now: datetime, text: str) -> None:
    assert next_attempt.NextAttempt(at, "").sentence(now) == text


def test_delivery_waits_for_end_of_backoff() -> None:
    row = delivery(make.webhook(make.catalog(), earliest_possible_trigger=NOW + 300 * S, round=1))
    result = next_attempt.of_delivery(row, NOW)
    assert result.moment == NOW + 300 * S
    # Trigger now ignores the backoff.
    forced = delivery(row.webhook, forced=True)
    assert next_attempt.of_delivery(forced, NOW).why.startswith("Due now")
    assert next_attempt.of_delivery(row, NOW + 300 * S).why.startswith("Due now")


def test_delivery_waits_for_its_own_due_date(worker: None) -> None:
    row = delivery(make.webhook(make.catalog()), due_at=NOW + 300 * S, losses=2)
    result = next_attempt.of_delivery(row, NOW)
    assert result.moment == NOW + 300 * S
    assert result.why == "It has lost its workers, so others pass it."
    assert next_attempt.of_delivery(row, NOW + 300 * S).why.startswith("Due now")

    def of_webhook(pending: int) -> next_attempt.NextAttempt:
        return next_attempt.of_webhook(row.webhook, NOW, pending=pending)

    assert of_webhook(1).moment == NOW + 300 * S
    assert of_webhook(2).why.startswith("Due now")
    # A later backoff of the webhook counts.
    row.webhook.earliest_possible_trigger = NOW + 600 * S
    assert next_attempt.of_delivery(row, NOW) == next_attempt.NextAttempt(NOW + 600 * S, "")


def test_due_without_a_worker(hook: Webhook) -> None:
    assert why(delivery(hook)) == "Due now, but no worker is running."


def test_due_with_a_worker(hook: Webhook, worker: None) -> None:
    assert why(delivery(hook)) == "Due now. A worker sends it within a second."


def test_due_after_first_request_of_a_backoff(worker: None) -> None:
    row = make.webhook(make.catalog(), earliest_possible_trigger=NOW, round=1)
    waits = delivery(row)
    assert "within a second" in why(waits)
    delivery(row, state="calling", started_at=NOW)
    assert "After a backoff one request is sent first" in why(waits)


def test_due_beyond_the_webhooks_limit(worker: None, settings: Any) -> None:
    settings.SIM_MAX_IN_FLIGHT = 2
    row = make.webhook(make.catalog())
    waits, forced = delivery(row), delivery(row, forced=True)
    for _ in range(2):
        assert "within a second" in why(waits)
        delivery(row, state="calling", started_at=NOW)
    assert why(waits) == (
        "Due now, but the webhook's limit is reached: 2 requests are in flight (SIM_MAX_IN_FLIGHT)."
    )
    assert "within a second" in why(forced)


def test_due_while_slots_are_short(catalog: make.Catalog, worker: None, settings: Any) -> None:
    settings.SIM_CALLS = 20
    row, other = make.webhook(catalog), make.webhook(catalog, n=2)
    waits = delivery(row)
    delivery(row, state="calling", started_at=NOW)
    for _ in range(4):
        delivery(other, state="calling", started_at=NOW)
    assert "within a second" in why(waits)
    for _ in range(6):
        delivery(other, state="calling", started_at=NOW)
    assert why(waits) == (
        "Due now, but slots are short: 11 of 20 are in use (SIM_CALLS), and this webhook has its "
        "share of 1."
    )


def test_due_while_all_slots_are_full(catalog: make.Catalog, worker: None, settings: Any) -> None:
    settings.SIM_CALLS = 3
    waits, other = delivery(make.webhook(catalog)), make.webhook(catalog, n=2)
    validator = make.webhook(catalog, n=3, type="validator")
    for _ in range(3):
        assert "within a second" in why(waits)
        delivery(other, state="calling", started_at=NOW)
        # A validator's request uses no slot: the process that waits for it sends it.
        delivery(validator, state="calling", started_at=NOW)
    assert why(waits) == ("Due now, but all slots are full: 3 requests are in flight (SIM_CALLS).")


def test_next_attempt_of_webhook(catalog: make.Catalog, worker: None) -> None:

    def sentence(pending: int, **fields: Any) -> str:
        row = make.webhook(catalog, **fields)
        try:
            result = next_attempt.of_webhook(row, NOW, pending=pending, load=WorkerLoad())
            return result.sentence(NOW)
        finally:
            row.delete()

    assert sentence(0) == "Healthy. New events are delivered immediately."
    assert sentence(1) == "Due now. A worker sends it within a second."
    assert sentence(0, active=False).startswith("Disabled")
    assert sentence(3, out_of_order=True).startswith("Paused: the webhook is out of order.")
    until = NOW + 600 * S
    assert sentence(3, earliest_possible_trigger=until, round=2) == (
        "Failed (2 of 10). Next attempt in 10 min, at 09:10:00 UTC."
    )
    assert "Next attempt" not in sentence(3, earliest_possible_trigger=NOW, round=2)


# -- the API


def listed(caller: Caller, query: str = "") -> list[tuple[str, str | None]]:
    response = caller.get(f"/notifications/webhooks{query}")
    assert response.status == 200, response
    return [(row["id"][-1], row["earliest_possible_trigger"]) for row in response.json]


def test_api_neither_shows_nor_filters_by_past_time(catalog: make.Catalog) -> None:
    vendor = caller(catalog.vendor)
    for n, seconds in enumerate((None, -60, 0, 1, 300), 1):
        at = None if seconds is None else NOW + seconds * S
        make.webhook(catalog, n=n, earliest_possible_trigger=at, round=n > 1)
    soon, later = ((NOW + n * S).isoformat() for n in (1, 300))
    assert listed(vendor, "?ordering(id)") == [
        ("1", None),
        ("2", None),
        ("3", None),
        ("4", soon),
        ("5", later),
    ]
    for query, expected in (
        ("eq(earliest_possible_trigger,null())", "123"),
        ("ne(earliest_possible_trigger,null())", "45"),
        (f"lt(earliest_possible_trigger,{later[:19]})", "4"),
        (f"le(earliest_possible_trigger,{NOW.isoformat()[:19]})", ""),
        (f"ge(earliest_possible_trigger,{soon[:19]})", "45"),
    ):
        pks = listed(vendor, f"?{query}&ordering(id)")
        assert "".join(pk for pk, _ in pks) == expected, query
    ordered = listed(vendor, "?ordering(-earliest_possible_trigger)")
    assert [pk for pk, at in ordered if at] == ["5", "4"]
    for n, at in ((2, None), (5, later)):
        path = f"/notifications/webhooks/WH-000-000-00{n}"
        for response in (vendor.get(path), vendor.put(path, {"label": "New"})):
            assert response.json["earliest_possible_trigger"] == at
    Clock.objects.update(frozen_at=clock.now() + 300 * S)
    assert [at for _, at in listed(vendor)] == [None] * 5
