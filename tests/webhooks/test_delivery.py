"""A queue change reaches a real handler through the real engine."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from django.db import connection

from requests_queue.queues import transitions
from requests_queue.queues.fulfillment import creation
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.engines import move_clock, running, settled, until
from tests.handlers import handler
from webhooks.delivery import fan_out
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


def counters(hook: Webhook) -> tuple[int, int, int, int]:
    """Return events, triggers, successes, failures."""
    return hook.events, hook.triggers, hook.success_triggers, hook.failure_triggers


def test_purchase_sends_a_signed_request() -> None:
    catalog = make.catalog()
    with handler() as served, running() as [engine]:
        hook = make.webhook(catalog, served.url, data={"tenant": "lab-1"})
        creation.create(make.purchase(catalog), catalog.as_distributor)
        engine.wake()
        request = served.next()
        until(settled, "the delivery is recorded")
    claims = jwt.decode(request.token, hook.jwt_secret, algorithms=["HS256"])
    exp = claims.pop("exp")
    assert request.method == "POST"
    assert request.json == claims
    assert request.headers["Authorization"] == request.headers["Authentication"]
    assert claims["webhook_id"] == hook.id
    assert claims["object_class"] == "fulfillment_requests"
    assert claims["data"] == {"tenant": "lab-1"}
    assert next(iter(claims)) == "webhook_id" and exp
    hook.refresh_from_db()
    assert counters(hook) == (1, 1, 1, 0)
    assert Delivery.objects.get().state == "delivered"
    attempt = Attempt.objects.get()
    assert attempt.status_code == 200
    assert request.headers["User-Agent"] == attempt.request_headers["User-Agent"] == "Connect-Sim"
    assert Event.objects.get().object_id == Request.objects.get().pk


def test_failing_handler_is_called_again_after_backoff() -> None:
    catalog = make.catalog()
    responses = iter([500, 302, 200])
    with handler(lambda request: next(responses)) as served, running() as [engine]:
        hook = make.webhook(catalog, served.url)
        creation.create(make.purchase(catalog), catalog.as_distributor)
        engine.wake()
        for n, seconds in ((1, 300), (2, 600)):
            served.next()
            until(lambda n=n: Attempt.objects.filter(number=n).exists(), f"attempt {n}")
            hook.refresh_from_db()
            attempt = Attempt.objects.get(number=n)
            gap = (hook.earliest_possible_trigger - attempt.finished_at).total_seconds()
            assert seconds <= gap <= seconds + 1
            move_clock(seconds + 2)
            engine.wake()
        served.next()
        until(settled, "delivered")
    hook.refresh_from_db()
    assert hook.earliest_possible_trigger is None
    assert counters(hook) == (1, 3, 1, 2)
    assert hook.failure_since_last_success == 0


def test_each_status_change_is_an_event() -> None:
    catalog = make.catalog()
    with handler() as served, running() as [engine]:
        make.webhook(catalog, served.url)
        row = creation.create(make.purchase(catalog), catalog.as_distributor)
        transitions.move(Request, row.pk, "approve", catalog.as_vendor, {})
        engine.wake()
        served.next(), served.next()
        until(settled, "both delivered")
    assert Webhook.objects.get().events == 2
    row.refresh_from_db()
    row.asset.refresh_from_db()
    assert (row.status, row.asset.status) == ("approved", "active")


def test_trigger_now_is_sent_immediately() -> None:
    catalog = make.catalog()
    with handler() as served, running() as [engine]:
        hook = make.webhook(catalog, served.url)
        fan_out.trigger(hook)
        engine.wake()
        served.next()
        until(settled, "delivered")
    hook.refresh_from_db()
    assert (hook.events, hook.triggers, hook.success_triggers) == (1, 1, 1)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's plan")
def test_webhooks_of_a_change_are_found_by_their_index(catalog: make.Catalog) -> None:
    executed: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        executed.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        make.order(catalog)
    [(sql, params)] = [
        each for each in executed if '"webhooks_webhook"."object_class" = ' in each[0]
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        plan = " ".join(row[3] for row in cursor.fetchall())
    index = "webhook_listening (object_class=? AND product_id=? AND type=? AND account_id=?)"
    assert f"USING INDEX {index}" in plan
