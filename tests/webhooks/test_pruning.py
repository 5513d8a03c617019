"""Pruning keeps the sums of removed rows, and wrong counters are reported."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F

from requests_queue.queues.fulfillment import creation
from tests import make
from tests.engines import move_clock
from tests.pruned import prune, small_steps
from webhooks import actions, states, webhook_health
from webhooks.delivery import claim, fan_out, record
from webhooks.delivery.attempt import AttemptResult
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db
DAY = 24 * 3600


def call(outcome: str = states.SUCCESS) -> list[int]:
    """Make all attempts that are due, with one outcome; return the deliveries."""
    claimed = claim.claim(100).claims
    assert set(record.record([AttemptResult(c, outcome, 1) for c in claimed])) == {"settled"}
    return [c.delivery_id for c in claimed]


def sums(hook: Webhook) -> tuple[int, int, int, int]:
    hook.refresh_from_db()
    return (
        hook.pruned_events,
        hook.pruned_successes,
        hook.pruned_failures,
        hook.pruned_unknown,
    )


def counted(hook: Webhook) -> tuple[int, int, int, int]:
    hook.refresh_from_db()
    return (hook.events, hook.triggers, hook.success_triggers, hook.failure_triggers)


def test_old_deliveries_are_pruned_and_their_sums_kept() -> None:
    hook = make.webhook(make.catalog())
    # One delivery with an unknown attempt, a failure and a success; then the last delivery.
    fan_out.trigger(hook)
    call(states.UNKNOWN), call(states.FAILURE)
    move_clock(400)
    call(states.SUCCESS)
    fan_out.trigger(hook)
    call(states.FAILURE)
    move_clock(400)
    call(states.SUCCESS)
    before = counted(hook)
    assert before == (2, 5, 2, 2)
    move_clock(40 * DAY)
    assert prune() == 1
    # The attempts of the second delivery are the webhook's last success and last failure.
    assert sums(hook) == (1, 1, 1, 1)
    assert counted(hook) == before
    assert Delivery.objects.count() == 1 and Event.objects.count() == 1
    assert set(Attempt.objects.values_list("pk", flat=True)) == {
        hook.last_success_id,
        hook.last_failure_id,
    }
    assert webhook_health.counter_discrepancies() == []
    assert prune() == 0


def test_last_success_and_failure_are_kept_with_delivery_and_events() -> None:
    hook = make.webhook(make.catalog())
    fan_out.trigger(hook)
    call()
    move_clock(400 * DAY)
    assert prune() == 0
    hook.refresh_from_db()
    assert hook.last_success is not None and hook.last_success.outcome == "success"
    assert hook.last_success.delivery.events.count() == 1


def test_last_failure_of_cancelled_delivery_is_kept() -> None:
    catalog = make.catalog()
    hook = make.webhook(catalog)
    fan_out.trigger(hook)
    call(states.FAILURE)
    for active in (False, True):
        actions.edit(hook.pk, catalog.vendor_user, {"active": active})
    move_clock(400 * DAY)
    fan_out.trigger(hook)
    call(states.SUCCESS)
    assert prune() == 0
    hook.refresh_from_db()
    assert hook.last_failure is not None and hook.last_failure.delivery.state == "cancelled"


@pytest.mark.parametrize("state", ["waiting", "calling"])
def test_unfinished_deliveries_are_kept(state: str) -> None:
    hook = make.webhook(make.catalog())
    for _ in range(2):
        fan_out.trigger(hook)
    if state == "calling":
        assert len(claim.claim(10).claims) == 2
    move_clock(400 * DAY)
    assert prune() == 0
    assert Delivery.objects.filter(state=state).count() == 2


def test_age_of_delivery_counts_from_its_last_attempt() -> None:
    hook = make.webhook(make.catalog())
    fan_out.trigger(hook)
    call(states.FAILURE)
    move_clock(29 * DAY)
    [old] = call(states.SUCCESS)
    fan_out.trigger(hook)
    call()
    move_clock(2 * DAY)
    # Its first attempt is 31 days old, its last one two.
    assert prune() == 0
    move_clock(29 * DAY)
    fan_out.trigger(hook)
    call(states.FAILURE)
    move_clock(400)
    call(states.SUCCESS)
    assert prune() == 2
    assert not Delivery.objects.filter(pk=old).exists()
    assert webhook_health.counter_discrepancies() == []


def test_cancelled_deliveries_are_pruned() -> None:
    catalog = make.catalog()
    hook = make.webhook(catalog)
    creation.create(make.purchase(catalog), catalog.as_distributor)
    actions.edit(hook.pk, catalog.vendor_user, {"active": False})
    move_clock(31 * DAY)
    assert prune() == 1
    assert sums(hook) == (1, 0, 0, 0)
    assert webhook_health.counter_discrepancies() == []


def test_pruning_in_batches_keeps_sums_per_webhook(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    small_steps(monkeypatch, 4)
    settings.SIM_KEEP_DAYS = 3
    catalog = make.catalog()
    first, second = make.webhook(catalog), make.webhook(catalog, n=2)
    for hook, times in ((first, 5), (second, 3)):
        for _ in range(times):
            fan_out.trigger(hook)
    call()
    move_clock(3 * DAY + 60)
    assert prune() == 6
    assert sums(first) == (4, 4, 0, 0)
    assert sums(second) == (2, 2, 0, 0)
    assert webhook_health.counter_discrepancies() == []


@pytest.mark.parametrize(
    "counter",
    [
        *("events", "triggers", "success_triggers", "failure_triggers"),
        *("pruned_events", "pruned_successes", "pruned_failures", "pruned_unknown"),
    ],
)
def test_wrong_counter_is_reported(counter: str) -> None:
    catalog = make.catalog()
    hook, sound = make.webhook(catalog), make.webhook(catalog, n=2)
    for row in (hook, sound):
        fan_out.trigger(row)
    call(states.FAILURE)
    assert webhook_health.counter_discrepancies() == []
    Webhook.objects.filter(pk=hook.pk).update(**{counter: F(counter) + 1})
    discrepancies = webhook_health.counter_discrepancies()
    # A pruned attempt is part of two sums: of all, and of its outcome.
    assert len(discrepancies) == (2 if counter in ("pruned_successes", "pruned_failures") else 1)
    assert all(line.startswith(f"{hook.pk}: ") for line in discrepancies)


def test_missing_row_is_reported() -> None:
    hook = make.webhook(make.catalog())
    fan_out.trigger(hook)
    call(states.FAILURE)
    Event.objects.all().delete()
    Attempt.objects.all().delete()
    assert webhook_health.counter_discrepancies() == [
        f"{hook.pk}: events is 1, but 0 are recorded.",
        f"{hook.pk}: triggers is 1, but 0 are recorded.",
        f"{hook.pk}: failure_triggers is 1, but 0 are recorded.",
    ]


def test_check_is_one_statement(django_assert_num_queries: Any) -> None:
    catalog = make.catalog()
    for n in range(1, 30):
        fan_out.trigger(make.webhook(catalog, n=n))
    call()
    with django_assert_num_queries(1):
        assert webhook_health.counter_discrepancies() == []


def test_command_prints_discrepancies_and_exits_with_1() -> None:
    hook = make.webhook(make.catalog())
    output = StringIO()
    call_command("check_counters", stdout=output)
    assert output.getvalue() == ""
    Webhook.objects.update(events=7)
    with pytest.raises(SystemExit) as ended:
        call_command("check_counters", stdout=output)
    assert ended.value.code == 1
    assert output.getvalue().splitlines() == [f"{hook.pk}: events is 7, but 0 are recorded."]


def test_event_and_last_attempt_must_both_be_old(settings: Any) -> None:
    settings.SIM_KEEP_DAYS = 1
    hook = make.webhook(make.catalog())
    for _ in range(2):
        fan_out.trigger(hook)
        call()
    ended = Attempt.objects.earliest("pk").finished_at
    Attempt.objects.update(finished_at=ended - timedelta(days=1) + timedelta(minutes=5))
    assert prune() == 0
    Attempt.objects.update(finished_at=ended - timedelta(days=1, minutes=5))
    # The age of the event counts as well.
    assert prune() == 0
    Delivery.objects.update(created_at=ended - timedelta(days=1, minutes=5))
    assert prune() == 1
