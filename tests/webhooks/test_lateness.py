"""When a claimed delivery was due, and when the first byte of its request is sent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from requests_queue import clock
from tests import make
from tests.engines import lost_results, running, settled, until
from tests.webhooks.calling import called_webhook
from tests.webhooks.frozen import advance, catalog, ordered_hook  # noqa: F401  (fixtures)
from tests.webhooks.hostile import Server, polite
from tests.webhooks.loopback import Run, once, run  # noqa: F401  (a fixture)
from webhooks import actions, states
from webhooks.delivery import claim, fan_out, record
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.claim import Claim
from webhooks.models import Delivery, Webhook
from webhooks.signals import request_sent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sent")]


@pytest.fixture
def sent() -> Iterator[list[tuple[Claim, float]]]:
    """Return the deliveries whose first byte was sent, with the time in monotonic seconds."""
    seen: list[tuple[Claim, float]] = []

    def note(claim: Claim, **kwargs: Any) -> None:
        seen.append((claim, time.monotonic()))

    request_sent.connect(note)
    yield seen
    request_sent.disconnect(note)


def take_claims() -> Claim:
    [claimed] = claim.claim(1).claims
    return claimed


def late(claimed: Claim) -> float:
    """Return how late the claim is in platform time, to 0.1 s."""
    assert claimed.due is not None
    return round(time.monotonic() - claimed.due, 1)


def fail() -> datetime:
    """Let the first attempt fail, and return the end of its backoff."""
    record.record([AttemptResult(take_claims(), states.FAILURE, 1)])
    until_ = Webhook.objects.get().earliest_possible_trigger
    assert until_ is not None
    return until_


def test_delivery_is_late_since_its_creation(ordered_hook: Webhook) -> None:
    advance(7)
    assert 7 <= late(take_claims()) < 9


def test_delivery_is_not_late_because_of_a_backoff(
    catalog: make.Catalog, ordered_hook: Webhook
) -> None:
    make.order(catalog)
    advance((fail() - clock.now()).total_seconds() + 3)
    repeated = take_claims()
    assert (repeated.number, 3 <= late(repeated) < 5) == (2, True)
    record.record([AttemptResult(repeated, states.SUCCESS, 1)])
    # The other delivery, created 5 minutes ago, could not start before the backoff was cleared.
    advance(2)
    assert 2 <= late(take_claims()) < 4


def test_delivery_is_late_since_a_user_cleared_the_backoff(
    catalog: make.Catalog, ordered_hook: Webhook
) -> None:
    fail()
    advance(100)
    actions.edit(ordered_hook.pk, catalog.vendor_user, {"data": {"a": 1}})
    advance(4)
    assert 4 <= late(take_claims()) < 6


def test_trigger_now_during_a_backoff_is_late_since_its_creation(ordered_hook: Webhook) -> None:
    fail()
    advance(100)
    fan_out.trigger(ordered_hook)
    advance(1)
    assert 1 <= late(take_claims()) < 3


def test_repeat_after_an_unknown_outcome_has_no_due_time(ordered_hook: Webhook) -> None:
    record.record([AttemptResult(take_claims(), states.UNKNOWN, 0, stopped=True)])
    advance(50)
    repeated = take_claims()
    assert (repeated.number, repeated.due) == (2, None)


def test_first_byte_is_reported_once_for_each_delivery(
    catalog: make.Catalog, sent: list[tuple[Claim, float]]
) -> None:
    with called_webhook(catalog, orders=2), running():
        until(settled, "both delivered")
    assert sorted(c.delivery_id for c, _ in sent) == list(
        Delivery.objects.order_by("pk").values_list("pk", flat=True)
    )
    for claimed, at in sent:
        assert claimed.due is not None and 0 < at - claimed.due < 15


@pytest.mark.parametrize(("is_closed", "count"), [(False, 1), (True, 0)])
def test_transport_reports_a_first_byte_only_with_a_connection(
    run: Run,
    is_closed: bool,
    count: int,
) -> None:
    calls: list[None] = []
    with Server(polite) as server:
        url = "http://127.0.0.1:9/" if is_closed else server.url
        outcome = run(once(url, on_sent=lambda: calls.append(None)))
    assert (len(calls), outcome.failure is not None) == (count, is_closed)


def test_delivery_that_waits_alone_is_late_since_its_due_date(ordered_hook: Webhook) -> None:
    for _ in range(2):
        take_claims()
        claim.expire_leases()
        record.record(lost_results())
    advance(303)
    assert 2 <= late(take_claims()) < 5
