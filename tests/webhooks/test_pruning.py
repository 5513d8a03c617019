"""Pruning keeps the sums of removed rows, and wrong counters are reported."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F

from tests import make
from tests.engines import move_clock
from tests.pruned import prune
from tests.webhooks.claimed import counted, finish
from webhooks import states, webhook_health
from webhooks.delivery import fan_out
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db
DAY = 24 * 3600


def test_old_deliveries_are_pruned_and_their_sums_kept(hook: Webhook) -> None:
    # One delivery with an unknown attempt, a failure and a success; then the last delivery.
    fan_out.trigger(hook)
    finish(states.UNKNOWN), finish(states.FAILURE)
    move_clock(400)
    finish()
    fan_out.trigger(hook)
    finish(states.FAILURE)
    move_clock(400)
    finish()
    move_clock(40 * DAY)
    assert prune() == 1
    assert counted(hook) == (2, 5, 2, 2, 0)
    # The attempts of the second delivery are the webhook's last success and last failure.
    assert (
        hook.pruned_events,
        hook.pruned_successes,
        hook.pruned_failures,
        hook.pruned_unknown,
    ) == (1, 1, 1, 1)
    assert Delivery.objects.count() == 1 and Event.objects.count() == 1
    assert set(Attempt.objects.values_list("pk", flat=True)) == {
        hook.last_success_id,
        hook.last_failure_id,
    }
    assert webhook_health.counter_discrepancies() == []
    assert prune() == 0


@pytest.mark.parametrize(
    "counter",
    [
        *("events", "triggers", "success_triggers", "failure_triggers"),
        *("pruned_events", "pruned_successes", "pruned_failures", "pruned_unknown"),
    ],
)
def test_wrong_counter_is_reported(catalog: make.Catalog, counter: str) -> None:
    hook, sound = make.webhook(catalog), make.webhook(catalog, n=2)
    for row in (hook, sound):
        fan_out.trigger(row)
    finish(states.FAILURE)
    assert webhook_health.counter_discrepancies() == []
    Webhook.objects.filter(pk=hook.pk).update(**{counter: F(counter) + 1})
    discrepancies = webhook_health.counter_discrepancies()
    # A pruned attempt is part of two sums: of all, and of its outcome.
    assert len(discrepancies) == (2 if counter in ("pruned_successes", "pruned_failures") else 1)
    assert all(line.startswith(f"{hook.pk}: ") for line in discrepancies)


def test_missing_row_is_reported(hook: Webhook) -> None:
    fan_out.trigger(hook)
    finish(states.FAILURE)
    Event.objects.all().delete()
    Attempt.objects.all().delete()
    assert webhook_health.counter_discrepancies() == [
        f"{hook.pk}: events is 1, but 0 are recorded.",
        f"{hook.pk}: triggers is 1, but 0 are recorded.",
        f"{hook.pk}: failure_triggers is 1, but 0 are recorded.",
    ]


def test_check_is_one_statement(catalog: make.Catalog, django_assert_num_queries: Any) -> None:
    for n in range(1, 30):
        fan_out.trigger(make.webhook(catalog, n=n))
    finish()
    with django_assert_num_queries(1):
        assert webhook_health.counter_discrepancies() == []


def test_command_prints_discrepancies_and_exits_with_1(hook: Webhook) -> None:
    output = StringIO()
    call_command("check_counters", stdout=output)
    assert output.getvalue() == ""
    Webhook.objects.update(events=7)
    with pytest.raises(SystemExit) as ended:
        call_command("check_counters", stdout=output)
    assert ended.value.code == 1
    assert output.getvalue().splitlines() == [f"{hook.pk}: events is 7, but 0 are recorded."]


def test_event_and_last_attempt_must_both_be_old(hook: Webhook, settings: Any) -> None:
    settings.SIM_KEEP_DAYS = 1
    for _ in range(2):
        fan_out.trigger(hook)
        finish()
    ended = Attempt.objects.earliest("pk").finished_at
    Attempt.objects.update(finished_at=ended - timedelta(days=1) + timedelta(minutes=5))
    assert prune() == 0
    Attempt.objects.update(finished_at=ended - timedelta(days=1, minutes=5))
    # The age of the event counts as well.
    assert prune() == 0
    Delivery.objects.update(created_at=ended - timedelta(days=1, minutes=5))
    assert prune() == 1
