"""Unknown outcomes: a delivery that loses its workers in a row waits alone, not its webhook."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from requests_queue import clock, jobs
from tests import make
from tests.engines import lost_results, running, until
from tests.webhooks.breaking import ALWAYS, break_
from tests.webhooks.calling import called_webhook
from tests.webhooks.claimed import counted
from tests.webhooks.frozen import advance, catalog, ordered_hook  # noqa: F401  (fixtures)
from webhooks import actions, states
from webhooks.delivery import claim, engine, fan_out, record, wakeup
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.claim import Claim
from webhooks.models import Attempt, ClearedBackoff, Delivery, Event, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]


def take_claims(count: int) -> list[Claim]:
    advance(1)
    claimed = claim.claim(100).claims
    assert len(claimed) == count
    return claimed


def attempt(outcome: str = states.SUCCESS, count: int = 1, **more: Any) -> list[Claim]:
    """Let the attempts of the deliveries that are due end with an outcome; return the claims."""
    claims = take_claims(count)
    record.record([AttemptResult(one, outcome, 1, **more) for one in claims])
    return claims


def lose_workers() -> None:
    """Lose the workers of the deliveries that are claimed."""
    advance(1)
    claim.expire_leases()
    record.record(lost_results())


def lose(count: int = 1) -> None:
    """Claim deliveries and lose their worker."""
    take_claims(count)
    lose_workers()


@pytest.fixture
def poison(ordered_hook: Webhook) -> Delivery:
    """Return a delivery that has lost two workers in a row, so that it waits alone."""
    lose()
    lose()
    return Delivery.objects.get()


def backoff(hook: Webhook) -> tuple[int, Any, bool]:
    hook.refresh_from_db()
    return (hook.round, hook.earliest_possible_trigger, hook.out_of_order)


def test_request_that_loses_its_workers_waits_alone_ever_longer(
    ordered_hook: Webhook, catalog: make.Catalog
) -> None:
    poison = Delivery.objects.get()
    lose()
    for losses, minutes in enumerate((5, 10, 20), 2):
        lose()
        poison.refresh_from_db()
        assert backoff(ordered_hook) == (0, None, False)
        assert (poison.losses, poison.due_at) == (losses, clock.now() + timedelta(minutes=minutes))
        last = Attempt.objects.latest("pk")
        assert last.why.startswith(f"Worker lost {losses} times in a row")
        assert last.next_attempt_at == poison.due_at == wakeup.next_due(clock.now())
        # Others pass it.
        make.order(catalog)
        [other] = attempt()
        assert other.delivery_id > poison.pk
        assert jobs.busy(clock.now()) == set()
        advance((poison.due_at - clock.now()).total_seconds() - 2)
        take_claims(0)
    attempt()
    poison.refresh_from_db()
    assert (poison.state, poison.losses, poison.due_at) == ("delivered", 0, None)
    assert counted(ordered_hook) == (4, 8, 4, 0, 0)


def test_two_kills_put_no_webhook_into_backoff(catalog: make.Catalog, settings: Any) -> None:
    settings.SIM_MAX_IN_FLIGHT = 30
    hook, other = make.webhook(catalog), make.webhook(catalog, n=2, account=catalog.provider)
    make.order(catalog, 30)
    lose(60)
    lose(60)
    assert backoff(hook) == backoff(other) == (0, None, False)
    make.order(catalog, 30)
    attempt(count=60)
    assert Delivery.objects.filter(state="delivered").count() == 60
    take_claims(0)
    advance(300)
    attempt(count=60)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert backoff(hook) == backoff(other) == (0, None, False)


def test_backoff_of_a_webhook_is_the_same_after_a_lost_worker(
    ordered_hook: Webhook, catalog: make.Catalog
) -> None:
    lose()
    make.order(catalog)
    [first, second] = take_claims(2)
    record.record([AttemptResult(second, states.FAILURE, 1)])
    before = backoff(ordered_hook)
    lose_workers()
    assert backoff(ordered_hook) == before and before[0] == 1
    # It is due a second after the backoff ends, and then the other one is sent first.
    own = Delivery.objects.get(pk=first.delivery_id).due_at
    assert own is not None and before[1] < own
    assert wakeup.next_due(clock.now()) == before[1]
    advance((before[1] - clock.now()).total_seconds())
    assert [one.delivery_id for one in claim.claim(10).claims] == [second.delivery_id]
    assert wakeup.next_due(clock.now()) == own


def test_out_of_order_webhook_keeps_a_delivery_that_loses_its_workers(
    ordered_hook: Webhook,
    catalog: make.Catalog,
) -> None:
    lose()
    take_claims(1)
    Webhook.objects.update(out_of_order=True, round=10)
    lose_workers()
    last = Attempt.objects.latest("pk")
    assert last.next_attempt_at is None and "out of order" in last.why
    assert wakeup.next_due(clock.now()) is None
    advance(86400)
    take_claims(0)
    assert actions.recover(ordered_hook.pk, catalog.vendor_user)
    take_claims(1)


@pytest.mark.parametrize("how", ["edit", "recover", "disable"])
def test_users_decide_about_a_delivery_that_waits_alone(
    catalog: make.Catalog, poison: Delivery, how: str
) -> None:
    hook, user = poison.webhook, catalog.vendor_user
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
        for active in (False, True):
            actions.edit(hook.pk, user, {"active": active})
        assert Delivery.objects.get().state == "cancelled"
        take_claims(0)
        return
    row = Delivery.objects.get()
    assert (row.due_at, row.losses) == (None, 0)
    lose()
    # The first one since then.
    take_claims(1)


def test_edit_of_a_delivery_that_lost_one_worker_clears_no_backoff(
    ordered_hook: Webhook, catalog: make.Catalog
) -> None:
    lose()
    actions.edit(ordered_hook.pk, catalog.vendor_user, {"data": {"n": 1}})
    assert not ClearedBackoff.objects.exists()
    lose()
    take_claims(1)


def test_trigger_now_passes_a_delivery_that_waits_alone(poison: Delivery) -> None:
    triggered = fan_out.trigger(poison.webhook)
    [one] = attempt()
    assert one.delivery_id == triggered.pk
    assert Delivery.objects.get(state="waiting").due_at is not None
    assert not ClearedBackoff.objects.exists()


@pytest.mark.parametrize("mode", ["each", "coalesce"])
def test_event_does_not_join_a_delivery_that_waits_alone(
    catalog: make.Catalog, poison: Delivery, settings: Any, mode: str
) -> None:
    settings.SIM_EVENT_MODE = mode
    # In a backoff, events join a pending delivery.
    until_ = clock.now() + timedelta(seconds=60)
    Webhook.objects.update(round=1, earliest_possible_trigger=until_, gate_closed_at=clock.now())
    make.order(catalog, 2)
    [other] = Delivery.objects.exclude(pk=poison.pk)
    assert (other.events.count(), poison.events.count()) == (2, 1)
    advance(60)
    [one] = attempt(states.FAILURE)
    assert (one.delivery_id, Delivery.objects.filter(state="waiting").count()) == (other.pk, 2)
    actions.edit(poison.webhook_id, catalog.vendor_user, {"data": {"n": 1}})
    # Neither waits alone any more.
    rows = Delivery.objects.filter(state="waiting")
    assert rows.count() == (1 if mode == "coalesce" else 2)
    assert Event.objects.filter(delivery__in=rows).count() == 3


def test_unknown_outcome_that_cannot_be_stored_delays_its_delivery_only(
    catalog: make.Catalog, ordered_hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_claims(1)
    claim.expire_leases()
    with monkeypatch.context() as patch:
        break_(patch, record, "record", TypeError("cannot be stored"), ALWAYS)
        assert record.flush(lost_results()).stored == ["released"]
    assert backoff(ordered_hook) == (0, None, False)
    take_claims(0)
    make.order(catalog)
    take_claims(1)
    advance(300)
    [one] = take_claims(1)
    assert Delivery.objects.get(pk=one.delivery_id).losses == 1


def test_success_resets_count_of_lost_workers(ordered_hook: Webhook) -> None:
    lose()
    attempt(states.FAILURE)
    assert backoff(ordered_hook)[0] == 1 and Delivery.objects.get().losses == 0
    advance(300)
    lose()
    # The first loss since the failure: the backoff has ended, so it is repeated immediately.
    assert backoff(ordered_hook)[0] == 1
    take_claims(1)


def test_orderly_stops_are_not_counted(ordered_hook: Webhook) -> None:
    for _ in range(12):
        attempt(states.UNKNOWN, stopped=True)
        assert backoff(ordered_hook) == (0, None, False)
    # They don't reset the count of lost workers either.
    lose()
    attempt(states.UNKNOWN, stopped=True)
    lose()
    assert Delivery.objects.get().losses == 2
    take_claims(0)


def test_edit_resets_count_of_lost_workers(ordered_hook: Webhook, catalog: make.Catalog) -> None:
    """The settings that a lost worker used are unknown."""
    lose()
    take_claims(1)
    advance(5)
    actions.edit(ordered_hook.pk, catalog.vendor_user, {"external_url": "http://127.0.0.1:9/new"})
    lose_workers()
    assert backoff(ordered_hook) == (0, None, False)
    lose()
    # The first one with the new settings.
    take_claims(1)


def test_lost_trigger_now_is_repeated_like_any_other(hook: Webhook, catalog: make.Catalog) -> None:
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
    with called_webhook(catalog, None) as (served, hook):
        for n in range(1, 4):
            with running():
                served.next()
            until(lambda n=n: Attempt.objects.count() == n, "recorded")
            advance(1)
    assert backoff(hook) == (0, None, False)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.losses) == ("waiting", 3, 0)
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"unknown"}


def test_request_ended_by_loop_error_is_not_an_orderly_stop(
    catalog: make.Catalog, hook: Webhook
) -> None:
    make.order(catalog)
    [one] = take_claims(1)
    cut_off = AttemptResult(one, states.UNKNOWN, 1, stopped=True)
    crashed = engine.Engine()
    crashed._keep_result(cut_off)
    assert crashed._window.results[one.key].stopped is False
    crashed._stopping.set()
    crashed._keep_result(cut_off)
    assert crashed._window.results[one.key].stopped is True
