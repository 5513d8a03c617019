"""Unknown outcomes: a delivery that loses its workers in a row waits alone, not its webhook."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from requests_queue import clock, jobs
from requests_queue.models import Clock
from tests import make
from tests.engines import lost_results, running, until
from tests.handlers import handler
from webhooks import actions, states, webhook_health
from webhooks.delivery import claim, engine, fan_out, record, wakeup
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.claim import Claim
from webhooks.models import Attempt, ClearedBackoff, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db(transaction=True)

START = make.AT + timedelta(days=9)


@pytest.fixture
def catalog(settings: Any) -> make.Catalog:
    Clock.objects.update_or_create(pk=1, defaults={"frozen_at": START})
    return make.catalog()


def advance(seconds: float) -> None:
    Clock.objects.update(frozen_at=clock.now() + timedelta(seconds=seconds))


def take_claims(count: int) -> list[Claim]:
    advance(1)
    claimed = claim.claim(100).claims
    assert len(claimed) == count
    return claimed


def lose(count: int = 1) -> None:
    """Claim deliveries and lose their worker."""
    take_claims(count)
    advance(1)
    claim.expire_leases()
    record.record(lost_results())


def backoff(hook: Webhook) -> tuple[int, Any, bool]:
    hook.refresh_from_db()
    return (hook.round, hook.earliest_possible_trigger, hook.out_of_order)


def test_first_lost_worker_is_not_a_failure(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    make.order(catalog)
    lose()
    assert backoff(hook) == (0, None, False)
    [again] = take_claims(1)
    record.record([AttemptResult(again, states.SUCCESS, 1)])
    first = Attempt.objects.get(number=1)
    assert (first.outcome, first.next_attempt_at) == ("unknown", None)
    assert first.why == "Outcome unknown. Repeated, so the handler may receive the request twice."
    assert Delivery.objects.get().losses == 0
    assert webhook_health.counter_discrepancies() == []


def test_request_that_loses_its_workers_waits_alone_ever_longer(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    make.order(catalog)
    poison = Delivery.objects.get()
    lose()
    for losses, minutes in enumerate((5, 10, 20), 2):
        lose()
        poison.refresh_from_db()
        assert backoff(hook) == (0, None, False)
        assert (poison.losses, poison.due_at) == (losses, clock.now() + timedelta(minutes=minutes))
        last = Attempt.objects.latest("pk")
        assert last.why.startswith(f"Worker lost {losses} times in a row")
        assert last.next_attempt_at == poison.due_at == wakeup.next_due(clock.now())
        # Others pass it.
        make.order(catalog)
        [other] = take_claims(1)
        assert other.delivery_id > poison.pk
        record.record([AttemptResult(other, states.SUCCESS, 1)])
        assert jobs.busy(clock.now()) == set()
        advance((poison.due_at - clock.now()).total_seconds() - 2)
        take_claims(0)
    [again] = take_claims(1)
    record.record([AttemptResult(again, states.SUCCESS, 1)])
    poison.refresh_from_db()
    assert (poison.state, poison.losses, poison.due_at) == ("delivered", 0, None)
    hook.refresh_from_db()
    assert (hook.triggers, hook.failure_triggers, hook.success_triggers) == (8, 0, 4)
    assert webhook_health.counter_discrepancies() == []


def test_two_kills_put_no_webhook_into_backoff(catalog: make.Catalog, settings: Any) -> None:
    settings.SIM_MAX_IN_FLIGHT = 30
    hook, other = make.webhook(catalog), make.webhook(catalog, n=2, account=catalog.provider)
    make.order(catalog, 30)
    lose(60)
    lose(60)
    assert backoff(hook) == backoff(other) == (0, None, False)
    make.order(catalog, 30)
    new = take_claims(60)
    record.record([AttemptResult(one, states.SUCCESS, 1) for one in new])
    assert Delivery.objects.filter(state="delivered").count() == 60
    take_claims(0)
    advance(300)
    record.record([AttemptResult(one, states.SUCCESS, 1) for one in take_claims(60)])
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert backoff(hook) == backoff(other) == (0, None, False)


def test_backoff_of_a_webhook_is_the_same_after_a_lost_worker(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    make.order(catalog)
    lose()
    make.order(catalog)
    [first, second] = take_claims(2)
    record.record([AttemptResult(second, states.FAILURE, 1)])
    before = backoff(hook)
    advance(1)
    claim.expire_leases()
    record.record(lost_results())
    assert backoff(hook) == before and before[0] == 1
    # It is due a second after the backoff ends, and then the other one is sent first.
    own = Delivery.objects.get(pk=first.delivery_id).due_at
    assert own is not None and before[1] < own
    assert wakeup.next_due(clock.now()) == before[1]
    advance((before[1] - clock.now()).total_seconds())
    assert [one.delivery_id for one in claim.claim(10).claims] == [second.delivery_id]
    assert wakeup.next_due(clock.now()) == own


def test_out_of_order_webhook_keeps_a_delivery_that_loses_its_workers(
    catalog: make.Catalog,
) -> None:
    hook = make.webhook(catalog)
    make.order(catalog)
    lose()
    take_claims(1)
    Webhook.objects.update(out_of_order=True, round=10)
    advance(1)
    claim.expire_leases()
    record.record(lost_results())
    last = Attempt.objects.latest("pk")
    assert last.next_attempt_at is None and "out of order" in last.why
    assert wakeup.next_due(clock.now()) is None
    advance(86400)
    take_claims(0)
    assert actions.recover(hook.pk, catalog.vendor_user)
    take_claims(1)


@pytest.mark.parametrize("how", ["edit", "recover", "disable"])
def test_users_decide_about_a_delivery_that_waits_alone(catalog: make.Catalog, how: str) -> None:
    hook = make.webhook(catalog)
    make.order(catalog)
    lose()
    lose()
    user = catalog.vendor_user
    if how == "edit":
        actions.edit(hook.pk, user, {"label": "Other"})
        take_claims(0)
        actions.edit(hook.pk, user, {"data": {"n": 1}})
        [cleared] = ClearedBackoff.objects.all()
        assert (cleared.cause, cleared.user, cleared.failures) == ("edited", user, 0)
    elif how == "recover":
        Webhook.objects.update(out_of_order=True, round=10)
        actions.recover(hook.pk, user)
    else:
        actions.edit(hook.pk, user, {"active": False})
        actions.edit(hook.pk, user, {"active": True})
        assert Delivery.objects.get().state == "cancelled"
        take_claims(0)
        return
    row = Delivery.objects.get()
    assert (row.due_at, row.losses) == (None, 0)
    lose()
    # The first one since then.
    take_claims(1)


def test_edit_of_a_delivery_that_lost_one_worker_clears_no_backoff(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    make.order(catalog)
    lose()
    actions.edit(hook.pk, catalog.vendor_user, {"data": {"n": 1}})
    assert not ClearedBackoff.objects.exists()
    lose()
    take_claims(1)


def test_trigger_now_passes_a_delivery_that_waits_alone(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    make.order(catalog)
    lose()
    lose()
    triggered = fan_out.trigger(hook)
    [one] = take_claims(1)
    assert one.delivery_id == triggered.pk
    record.record([AttemptResult(one, states.SUCCESS, 1)])
    assert Delivery.objects.get(state="waiting").due_at is not None
    assert not ClearedBackoff.objects.exists()


@pytest.mark.parametrize("mode", ["each", "coalesce"])
def test_event_does_not_join_a_delivery_that_waits_alone(
    catalog: make.Catalog, settings: Any, mode: str
) -> None:
    settings.SIM_EVENT_MODE = mode
    hook = make.webhook(catalog)
    make.order(catalog)
    lose()
    lose()
    poison = Delivery.objects.get()
    # In a backoff, events join a pending delivery.
    until_ = clock.now() + timedelta(seconds=60)
    Webhook.objects.update(round=1, earliest_possible_trigger=until_, gate_closed_at=clock.now())
    make.order(catalog, 2)
    [other] = Delivery.objects.exclude(pk=poison.pk)
    assert (other.events.count(), poison.events.count()) == (2, 1)
    advance(60)
    [one] = take_claims(1)
    record.record([AttemptResult(one, states.FAILURE, 1)])
    assert (one.delivery_id, Delivery.objects.filter(state="waiting").count()) == (other.pk, 2)
    actions.edit(hook.pk, catalog.vendor_user, {"data": {"n": 1}})
    # Neither waits alone any more.
    rows = Delivery.objects.filter(state="waiting")
    assert rows.count() == (1 if mode == "coalesce" else 2)
    assert Event.objects.filter(delivery__in=rows).count() == 3


def test_unknown_outcome_that_cannot_be_stored_delays_its_delivery_only(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*args: Any, **kwargs: Any) -> Any:
        raise TypeError("cannot be stored")

    hook = make.webhook(catalog)
    make.order(catalog)
    take_claims(1)
    claim.expire_leases()
    with monkeypatch.context() as patch:
        patch.setattr(record, "record", defect)
        assert record.flush(lost_results()).stored == ["released"]
    assert backoff(hook) == (0, None, False)
    take_claims(0)
    make.order(catalog)
    take_claims(1)
    advance(300)
    [one] = take_claims(1)
    assert Delivery.objects.get(pk=one.delivery_id).losses == 1


def test_success_resets_count_of_lost_workers(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    make.order(catalog)
    lose()
    [again] = take_claims(1)
    record.record([AttemptResult(again, states.FAILURE, 1)])
    assert backoff(hook)[0] == 1 and Delivery.objects.get().losses == 0
    advance(300)
    lose()
    # The first loss since the failure: the backoff has ended, so it is repeated immediately.
    assert backoff(hook)[0] == 1
    take_claims(1)


def test_orderly_stops_are_not_counted(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    make.order(catalog)
    for _ in range(12):
        [one] = take_claims(1)
        record.record([AttemptResult(one, states.UNKNOWN, 1, stopped=True)])
        assert backoff(hook) == (0, None, False)
    # They don't reset the count of lost workers either.
    lose()
    [one] = take_claims(1)
    record.record([AttemptResult(one, states.UNKNOWN, 1, stopped=True)])
    lose()
    assert Delivery.objects.get().losses == 2
    take_claims(0)


def test_edit_resets_count_of_lost_workers(catalog: make.Catalog) -> None:
    """The settings that a lost worker used are unknown."""
    hook = make.webhook(catalog)
    make.order(catalog)
    lose()
    take_claims(1)
    advance(5)
    actions.edit(hook.pk, catalog.vendor_user, {"external_url": "http://127.0.0.1:9/new"})
    claim.expire_leases()
    record.record(lost_results())
    assert backoff(hook) == (0, None, False)
    lose()
    # The first one with the new settings.
    take_claims(1)


def test_lost_trigger_now_is_repeated_like_any_other(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    fan_out.trigger(hook)
    lose()
    assert not Delivery.objects.get().forced
    lose()
    assert backoff(hook) == (0, None, False)
    take_claims(0)


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
        make.order(catalog)
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
    make.order(catalog)
    [one] = take_claims(1)
    cut_off = AttemptResult(one, states.UNKNOWN, 1, stopped=True)
    crashed = engine.Engine()
    crashed._keep_result(cut_off)
    assert crashed._window.results[one.key].stopped is False
    crashed._stopping.set()
    crashed._keep_result(cut_off)
    assert crashed._window.results[one.key].stopped is True
