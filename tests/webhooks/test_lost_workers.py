"""Unknown outcomes: the first lost worker is ignored, after another one the webhook backs off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from requests_queue import clock
from requests_queue.models import Clock
from requests_queue.queues.fulfillment import creation
from tests import make
from tests.engines import running, until
from tests.handlers import handler
from webhooks import actions, webhook_health
from webhooks.delivery import claims, engine, fan_out, recording, retry
from webhooks.delivery.claimed import ClaimedDelivery
from webhooks.delivery.in_flight import AttemptResult
from webhooks.models import Attempt, Delivery, Webhook

pytestmark = pytest.mark.django_db(transaction=True)

START = make.AT + timedelta(days=9)


@pytest.fixture
def catalog(settings: Any) -> make.Catalog:
    Clock.objects.update_or_create(pk=1, defaults={"frozen_at": START})
    return make.catalog()


def order(catalog: make.Catalog, times: int = 1) -> None:
    for _ in range(times):
        creation.create(make.purchase(catalog), catalog.as_distributor)


def advance(seconds: float) -> None:
    Clock.objects.update(frozen_at=clock.now() + timedelta(seconds=seconds))


def claim(count: int) -> list[ClaimedDelivery]:
    advance(1)
    claimed = claims.claim(100)
    assert len(claimed) == count
    return claimed


def lose(count: int = 1) -> None:
    """Claim deliveries and lose their worker."""
    claim(count)
    advance(1)
    claims.expire_leases()
    recording.record(claims.lost_attempts())


def backoff(hook: Webhook) -> tuple[int, Any, bool]:
    hook.refresh_from_db()
    return (hook.round, hook.earliest_possible_trigger, hook.out_of_order)


def test_first_lost_worker_is_not_a_failure(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    order(catalog)
    lose()
    assert backoff(hook) == (0, None, False)
    [again] = claim(1)
    recording.record([AttemptResult(again, retry.SUCCESS, 1)])
    first = Attempt.objects.get(number=1)
    assert (first.outcome, first.next_attempt_at) == ("unknown", None)
    assert first.why == "Outcome unknown. Repeated, so the handler may receive the request twice."
    assert Delivery.objects.get().losses == 0
    assert webhook_health.counter_discrepancies() == []


def test_request_that_loses_its_workers_backs_off_until_out_of_order(
    catalog: make.Catalog, settings: Any
) -> None:
    settings.SIM_FAILURE_LIMIT = 4
    hook = make.webhook(catalog)
    order(catalog)
    lose()
    for failures, minutes in enumerate((5, 10, 20), 1):
        lose()
        count, until_, lost = backoff(hook)
        assert (count, lost) == (failures, False)
        assert until_ == clock.now() + timedelta(minutes=minutes)
        last = Attempt.objects.latest("pk")
        assert last.why == f"Worker lost {failures + 1} times in a row ({failures} of 4)."
        assert last.next_attempt_at == until_
        claim(0)
        advance((until_ - clock.now()).total_seconds())
    lose()
    assert backoff(hook) == (4, None, True)
    claim(0)
    # No attempt was a failure.
    assert (hook.triggers, hook.failure_triggers) == (5, 0)
    assert webhook_health.counter_discrepancies() == []


def test_thirty_requests_in_flight_of_a_worker_lost_twice_are_one_failure(
    catalog: make.Catalog, settings: Any
) -> None:
    settings.SIM_MAX_IN_FLIGHT = 30
    hook, other = make.webhook(catalog), make.webhook(catalog, n=2, account=catalog.provider)
    order(catalog, 30)
    lose(60)
    assert backoff(hook) == backoff(other) == (0, None, False)
    lose(60)
    for row in (hook, other):
        assert backoff(row) == (1, clock.now() + timedelta(minutes=5), False)
        whys = row.attempt_set.filter(number=2).values_list("why", flat=True)
        assert sum("(1 of 10)" in why for why in whys) == 1
        assert sum("not counted again" in why for why in whys) == 29
    claim(0)
    advance(300)
    # One of each webhook is sent first.
    lose(2)
    assert backoff(hook)[0] == backoff(other)[0] == 2


def test_success_resets_count_of_lost_workers(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    order(catalog)
    lose()
    [again] = claim(1)
    recording.record([AttemptResult(again, retry.FAILURE, 1)])
    assert backoff(hook)[0] == 1 and Delivery.objects.get().losses == 0
    advance(300)
    lose()
    # The first loss since the failure: the backoff has ended, so it is repeated immediately.
    assert backoff(hook)[0] == 1
    claim(1)


def test_orderly_stops_are_not_counted(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    order(catalog)
    for _ in range(12):
        [one] = claim(1)
        recording.record([AttemptResult(one, retry.UNKNOWN, 1, stopped=True)])
        assert backoff(hook) == (0, None, False)
    # They don't reset the count of lost workers either.
    lose()
    [one] = claim(1)
    recording.record([AttemptResult(one, retry.UNKNOWN, 1, stopped=True)])
    lose()
    assert backoff(hook)[0] == 1


def test_edit_resets_count_of_lost_workers(catalog: make.Catalog) -> None:
    """The settings that a lost worker used are unknown."""
    hook = make.webhook(catalog)
    order(catalog)
    lose()
    claim(1)
    advance(5)
    actions.edit(hook.pk, catalog.vendor_user, {"external_url": "http://127.0.0.1:9/new"})
    claims.expire_leases()
    recording.record(claims.lost_attempts())
    assert backoff(hook) == (0, None, False)
    claim(1)


def test_lost_trigger_now_is_repeated_like_any_other(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    fan_out.trigger(hook)
    lose()
    assert not Delivery.objects.get().forced
    lose()
    assert backoff(hook)[0] == 1


def test_lost_worker_of_validator_changes_no_backoff(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog, type="validator")
    for _ in range(3):
        fan_out.trigger(hook)
        lose()
    assert backoff(hook) == (0, None, False)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"failed"}


def test_stopped_engine_records_orderly_stop(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A developer restarts the sandbox while a request hangs, more often than the limit."""
    monkeypatch.setattr(engine, "GRACE", 0.0)
    with handler(None) as served:
        hook = make.webhook(catalog, served.url)
        order(catalog)
        for n in range(1, 4):
            with running():
                served.next()
            until(lambda n=n: Attempt.objects.count() == n, "recorded")
            advance(1)
    assert backoff(hook) == (0, None, False)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.losses) == ("waiting", 3, 0)
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"unknown"}


def test_request_ended_by_loop_error_is_not_an_orderly_stop(catalog: make.Catalog) -> None:
    make.webhook(catalog)
    order(catalog)
    [one] = claim(1)
    cut_off = AttemptResult(one, retry.UNKNOWN, 1, stopped=True)
    crashed = engine.Engine()
    assert crashed._mark_stopped(cut_off).stopped is False
    crashed._stopping.set()
    assert crashed._mark_stopped(cut_off).stopped is True
