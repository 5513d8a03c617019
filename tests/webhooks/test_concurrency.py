"""Concurrency: two engines, edits while a request is in flight, lost workers."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from requests_queue import clock
from tests import make
from tests.engines import lost_results, move_clock, running, settled, until
from tests.handlers import handler
from tests.webhooks.calling import called_webhook
from tests.webhooks.claimed import counted, expire_leases, failing
from webhooks import actions, states
from webhooks.delivery import claim, fan_out, record
from webhooks.delivery import engine as engine_module
from webhooks.delivery.attempt import AttemptResult
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]


def test_two_engines_send_one_request_for_each_delivery(catalog: make.Catalog) -> None:
    with called_webhook(catalog, orders=25) as (served, _):
        with running(2) as engines:
            for engine in engines:
                engine.wake()
            until(settled, "all delivered")
        assert len(served.received) == 25
    assert list(Attempt.objects.values_list("number", flat=True)) == [1] * 25


def test_one_request_goes_first_across_engines(catalog: make.Catalog) -> None:
    with handler(None) as served:
        failing(catalog, 6, served.url)
        with running(2) as engines:
            served.next()
            for engine in engines:
                engine.wake()
            assert claim.select(1, clock.now())[0] == []
            assert Delivery.objects.filter(state="calling").count() == 1
            served.release.set()
            until(settled, "all delivered")
        assert len(served.received) == 6


def test_limit_and_order_of_a_webhook_hold_across_engines(
    catalog: make.Catalog, settings: Any
) -> None:
    settings.SIM_MAX_IN_FLIGHT = 1
    with called_webhook(catalog, orders=12), running(2):
        until(settled, "all delivered")
    rows = list(Attempt.objects.order_by("delivery_id").values_list("started_at", "finished_at"))
    assert len(rows) == 12
    for (_, finished), (started, _) in itertools.pairwise(rows):
        assert finished <= started


@pytest.mark.parametrize("response", [200, 500])
def test_disabled_while_request_is_in_flight(catalog: make.Catalog, response: int) -> None:
    release = threading.Event()
    with (
        called_webhook(catalog, lambda request: (release.wait(15), response)[1]) as (served, hook),
        running(),
    ):
        served.next()
        actions.edit(hook.pk, catalog.vendor_user, {"active": False})
        assert Delivery.objects.get().state == "calling"
        release.set()
        until(settled, "the call is recorded")
    hook.refresh_from_db()
    assert Delivery.objects.get().state == "cancelled"
    # The attempt is counted, but doesn't change the backoff.
    assert (hook.triggers, hook.success_triggers + hook.failure_triggers) == (1, 1)
    assert (hook.earliest_possible_trigger, hook.round) == (None, 0)


def test_disabled_and_enabled_while_request_is_in_flight(catalog: make.Catalog) -> None:
    with called_webhook(catalog, None) as (served, hook), running() as [engine]:
        served.next()
        make.order(catalog)
        for active in (False, True):
            actions.edit(hook.pk, catalog.vendor_user, {"active": active})
        served.release.set()
        until(settled, "the call is recorded")
        make.order(catalog)
        engine.wake()
        served.next()
        until(settled, "a later event is delivered")
    states = Delivery.objects.order_by("pk").values_list("state", flat=True)
    assert list(states)[1:] in (["cancelled", "delivered"], ["delivered", "delivered"])


def test_deleted_while_request_is_in_flight(catalog: make.Catalog) -> None:
    with called_webhook(catalog, None) as (served, hook), running() as [engine]:
        served.next()
        actions.delete(hook.pk)
        served.release.set()
        until(lambda: engine.in_flight == 0, "the call ends")
        # The engine continues with another webhook.
        make.webhook(catalog, served.url, n=2)
        make.order(catalog)
        engine.wake()
        served.next()
        until(settled, "delivered")
    assert Attempt.objects.get().webhook_id == Webhook.with_deleted.get().pk != hook.pk
    assert Delivery.objects.get().state == "delivered"


def test_edited_while_request_is_in_flight_is_retried_with_new_settings(
    catalog: make.Catalog,
) -> None:
    release = threading.Event()
    with handler(
        lambda request: 200 if request.path == "/new" else (release.wait(15), 500)[1]
    ) as served:
        hook = make.webhook(catalog, f"{served.url}old")
        make.order(catalog)
        with running():
            served.next()
            actions.edit(hook.pk, catalog.vendor_user, {"external_url": f"{served.url}new"})
            release.set()
            until(settled, "delivered")
    hook.refresh_from_db()
    assert [one.path for one in served.received] == ["/old", "/new"]
    assert (hook.round, hook.earliest_possible_trigger) == (0, None)
    assert (hook.failure_triggers, hook.success_triggers) == (1, 1)
    assert "edited while the request was in flight" in Attempt.objects.earliest("pk").why


def test_trigger_now_is_sent_beside_first_request_after_backoff(catalog: make.Catalog) -> None:
    hook = failing(catalog, waiting=1)
    [first] = claim.claim(10).claims
    fan_out.trigger(hook)
    [forced] = claim.claim(10).claims
    assert (first.forced, forced.forced) == (False, True)


def test_event_does_not_join_delivery_in_flight(catalog: make.Catalog) -> None:
    failing(catalog, waiting=1)
    [probe] = claim.claim(10).claims
    make.order(catalog)
    assert Event.objects.filter(delivery=probe.delivery_id).count() == 1
    late = Delivery.objects.latest("pk")
    assert (late.pk != probe.delivery_id, late.state) == (True, "waiting")
    # The first request fails, and both stay pending.
    record.record([AttemptResult(probe, states.FAILURE, 1)])
    assert Delivery.objects.filter(state="waiting").count() == 2


def test_attempt_of_lost_worker_is_recorded_as_unknown_and_repeated(catalog: make.Catalog) -> None:
    with called_webhook(catalog) as (served, hook):
        [lost] = claim.claim(10).claims
        expire_leases()
        with running():
            served.next()
            until(settled, "delivered")
    first, second = Attempt.objects.order_by("number")
    assert (first.outcome, first.status_code, first.number) == ("unknown", None, lost.number)
    assert "Worker lost" in first.error
    assert first.why == "Outcome unknown. Repeated, so the handler may receive the request twice."
    assert (second.outcome, second.number) == ("success", 2)
    assert Delivery.objects.get().losses == 0
    # It is not a failure.
    assert counted(hook) == (1, 2, 1, 0, 0)
    assert (hook.round, hook.earliest_possible_trigger) == (0, None)


def test_claim_holds_until_lease_expires(catalog: make.Catalog, hook: Webhook) -> None:
    make.order(catalog)
    claimed = claim.claim(10).claims
    # Leases are real time: moving platform time doesn't expire them.
    move_clock(3600)
    assert claim.lost_claims() == []
    expire_leases()
    assert claim.lost_claims() == claimed


@pytest.mark.parametrize("again", [False, True], ids=["waiting again", "claimed by another"])
@pytest.mark.parametrize("outcome", [states.SUCCESS, states.FAILURE])
def test_attempt_of_late_worker_is_counted_and_settles_nothing(
    catalog: make.Catalog, hook: Webhook, outcome: str, again: bool
) -> None:
    make.order(catalog)
    [late] = claim.claim(10).claims
    expire_leases()
    assert record.record(lost_results()) == ["settled"]
    other = claim.claim(10).claims[0] if again else None
    before = settlement(hook)
    assert record.record([AttemptResult(late, outcome, 1)]) == ["late"]
    assert settlement(hook) == before
    assert list(Attempt.objects.values_list("number", "outcome")) == [(2, outcome), (1, "unknown")]
    assert "Recorded late" in Attempt.objects.latest("pk").why
    failures = int(outcome == states.FAILURE)
    assert counted(hook) == (1, 2, 1 - failures, failures, failures)
    if other:
        # One that comes even later, together with the one that settles.
        finished = [AttemptResult(late, states.FAILURE, 7), AttemptResult(other, states.SUCCESS, 1)]
        assert record.record(finished) == ["late", "settled"]
        assert Delivery.objects.values_list("state", "attempts").get() == ("delivered", 4)


def settlement(hook: Webhook) -> Any:
    """Return what only the worker with the claim may change."""
    webhook = Webhook.objects.filter(pk=hook.pk).values(
        "earliest_possible_trigger", "gate_closed_at", "round", "out_of_order"
    )
    delivery = Delivery.objects.values("state", "claim", "lease", "forced", "started_at")
    return list(webhook), list(delivery)


def lease() -> float:
    return Delivery.objects.values_list("lease", flat=True).get() or 0.0


def test_long_request_keeps_its_claim_by_renewal(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "RENEW", 0.05)
    monkeypatch.setattr(engine_module, "TICK", 0.05)
    with called_webhook(catalog, None) as (served, _), running():
        served.next()
        first = lease()
        until(lambda: lease() > first + 0.1, "the lease is renewed")
        served.release.set()
        until(settled, "delivered")
    assert Attempt.objects.get().outcome == "success"


def test_engine_does_not_record_its_own_requests_as_lost(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process was paused, or the database was down, for longer than the lease.
    monkeypatch.setattr(engine_module, "TICK", 0.02)
    with called_webhook(catalog, None) as (served, _):
        with running():
            served.next()
            expire_leases()
            until(lambda: lease() > 1.0, "the lease is renewed")
            served.release.set()
            until(settled, "delivered")
        assert len(served.received) == 1
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["success"]


def test_delivery_is_repeated_while_its_lost_request_still_hangs(
    catalog: make.Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "TICK", 3600)
    with called_webhook(catalog, None) as (served, _), running() as [engine]:
        served.next()
        expire_leases()
        # Another worker records it; this one claims it again.
        assert record.record(lost_results()) == ["settled"]
        engine.wake()
        served.next()
        assert engine.in_flight == 2
        served.release.set()
        until(lambda: engine.in_flight == 0 and Attempt.objects.count() == 3, "both recorded")
    assert list(Attempt.objects.order_by("number").values_list("outcome", flat=True)) == [
        "unknown",
        "success",
        "success",
    ]


def test_stopped_engine_records_requests_in_flight_as_unknown(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "GRACE", 0.05)
    with called_webhook(catalog, None, orders=2) as (served, hook):
        with running():
            served.next(), served.next()
        assert set(Delivery.objects.values_list("state", "claim", "lease")) == {
            ("waiting", None, None)
        }
        assert set(Attempt.objects.values_list("outcome", flat=True)) == {"unknown"}
        assert counted(hook) == (2, 2, 0, 0, 0)
        assert hook.earliest_possible_trigger is None
        served.release.set()
        with running():
            until(settled, "delivered by the next engine")


def test_stopping_engine_waits_for_requests_in_flight(catalog: make.Catalog) -> None:
    with called_webhook(catalog, None) as (served, _), running() as [engine]:
        served.next()
        stop = threading.Thread(target=engine.stop)
        stop.start()
        served.release.set()
        stop.join(15)
    assert Delivery.objects.get().state == "delivered"
