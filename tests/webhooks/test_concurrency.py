"""Concurrency: two engines, edits while a request is in flight, lost workers."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta
from typing import Any

import pytest

from requests_queue import clock
from tests import make
from tests.engines import lost_results, move_clock, running, settled, until
from tests.handlers import Handler, ReceivedRequest, Response, handler
from tests.webhooks.claimed import expire_leases, failing
from webhooks import actions, states, webhook_health
from webhooks.delivery import claim, fan_out, record
from webhooks.delivery import engine as engine_module
from webhooks.delivery.attempt import AttemptResult
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


def is_called(served: Handler, hook: Webhook) -> None:
    """Change the URL of the webhook, without the other effects of an edit."""
    Webhook.objects.filter(pk=hook.pk).update(external_url=served.url)


def test_two_engines_send_one_request_for_each_delivery() -> None:
    catalog = make.catalog()
    with handler() as served:
        make.webhook(catalog, served.url)
        make.order(catalog, 25)
        with running(2) as engines:
            for engine in engines:
                engine.wake()
            until(settled, "all delivered")
        assert len(served.received) == 25
    assert list(Attempt.objects.values_list("number", flat=True)) == [1] * 25


def test_claim_is_limited_by_slots() -> None:
    catalog = make.catalog()
    for n in range(1, 5):
        make.webhook(catalog, n=n)
    make.order(catalog, 5)
    first = claim.claim(6).claims
    assert len(first) == 6
    assert len(claim.claim(100).claims) == 14
    # The oldest are sent first.
    oldest = Delivery.objects.order_by("pk").values_list("pk", flat=True)[:6]
    assert sorted(c.delivery_id for c in first) == list(oldest)


def test_engine_has_no_more_requests_in_flight_than_slots() -> None:
    catalog = make.catalog()
    with handler(None) as served:
        for n in range(1, 5):
            make.webhook(catalog, served.url, n=n)
        make.order(catalog, 2)
        with running(slots=3) as [engine]:
            for _ in range(3):
                served.next()
            assert engine.in_flight == 3
            assert Delivery.objects.filter(state="calling").count() == 3
            served.release.set()
            until(settled, "all delivered")
    assert Attempt.objects.count() == 8


class Counting:
    """Responses of a handler, held until enough requests are in flight."""

    def __init__(self, enough: int) -> None:
        self._lock = threading.Lock()
        self._enough = enough
        self._now = 0
        self.peak = 0
        self.full = threading.Event()

    def __call__(self, request: ReceivedRequest) -> Response:
        with self._lock:
            self._now += 1
            self.peak = max(self.peak, self._now)
            if self._now >= self._enough:
                self.full.set()
        self.full.wait(15)
        with self._lock:
            self._now -= 1
        return 200


def test_limit_of_webhook_holds_across_engines(settings: Any) -> None:
    settings.SIM_MAX_IN_FLIGHT = 3
    catalog = make.catalog()
    responses = Counting(enough=3)
    with handler(responses) as served:
        make.webhook(catalog, served.url)
        make.order(catalog, 12)
        with running(2):
            assert responses.full.wait(15)
            until(settled, "all delivered")
    assert responses.peak == 3
    assert Attempt.objects.count() == 12


def test_one_request_goes_first_across_engines() -> None:
    catalog = make.catalog()
    hook = failing(catalog, waiting=6)
    with handler(None) as served:
        is_called(served, hook)
        with running(2) as engines:
            served.next()
            for engine in engines:
                engine.wake()
            assert claim.select(1, clock.now())[0] == []
            assert Delivery.objects.filter(state="calling").count() == 1
            served.release.set()
            until(settled, "all delivered")
        assert len(served.received) == 6


def test_deliveries_start_in_the_order_of_their_events_across_engines(settings: Any) -> None:
    settings.SIM_MAX_IN_FLIGHT = 1
    catalog = make.catalog()
    with handler() as served:
        make.webhook(catalog, served.url)
        make.order(catalog, 12)
        with running(2):
            until(settled, "all delivered")
    rows = list(Attempt.objects.order_by("delivery_id").values_list("started_at", "finished_at"))
    for (_, finished), (started, _) in itertools.pairwise(rows):
        assert finished <= started


@pytest.mark.parametrize("response", [200, 500])
def test_disabled_while_request_is_in_flight(response: int) -> None:
    catalog = make.catalog()
    release = threading.Event()
    with handler(lambda request: (release.wait(15), response)[1]) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running():
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
    assert webhook_health.counter_discrepancies() == []


def test_disabled_and_enabled_while_request_is_in_flight() -> None:
    catalog = make.catalog()
    release = threading.Event()
    with handler(lambda request: (release.wait(15), 200)[1]) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
            served.next()
            make.order(catalog)
            actions.edit(hook.pk, catalog.vendor_user, {"active": False})
            actions.edit(hook.pk, catalog.vendor_user, {"active": True})
            release.set()
            until(settled, "the call is recorded")
            make.order(catalog)
            engine.wake()
            served.next()
            until(settled, "a later event is delivered")
    states = Delivery.objects.order_by("pk").values_list("state", flat=True)
    assert list(states)[1:] in (["cancelled", "delivered"], ["delivered", "delivered"])


def test_deleted_while_request_is_in_flight() -> None:
    catalog = make.catalog()
    with handler(None) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
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
    assert Attempt.objects.get().webhook_id == Webhook.objects.get().pk != hook.pk


def test_edited_while_request_is_in_flight_is_retried_with_new_settings() -> None:
    catalog = make.catalog()
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


def test_success_with_old_settings_does_not_clear_backoff() -> None:
    catalog = make.catalog()
    hook = failing(catalog, waiting=2)
    [probe] = claim.claim(10).claims
    Webhook.objects.update(earliest_possible_trigger=clock.now() + timedelta(hours=1), revision=1)
    record.record([AttemptResult(probe, states.SUCCESS, 1)])
    hook.refresh_from_db()
    assert hook.earliest_possible_trigger is not None
    assert (hook.success_triggers, hook.failure_since_last_success) == (1, 0)


def test_trigger_now_is_sent_beside_first_request_after_backoff() -> None:
    catalog = make.catalog()
    hook = failing(catalog, waiting=1)
    with handler(None) as served:
        is_called(served, hook)
        with running() as [engine]:
            served.next()
            fan_out.trigger(hook)
            engine.wake()
            served.next()
            assert Delivery.objects.filter(state="calling").count() == 2
            served.release.set()
            until(settled, "both delivered")


def test_event_does_not_join_delivery_in_flight() -> None:
    catalog = make.catalog()
    failing(catalog, waiting=1)
    [probe] = claim.claim(10).claims
    make.order(catalog)
    assert Event.objects.filter(delivery=probe.delivery_id).count() == 1
    late = Delivery.objects.latest("pk")
    assert (late.pk != probe.delivery_id, late.state) == (True, "waiting")
    # The first request fails, and both stay pending.
    record.record([AttemptResult(probe, states.FAILURE, 1)])
    assert Delivery.objects.filter(state="waiting").count() == 2


def test_attempt_of_lost_worker_is_recorded_as_unknown_and_repeated() -> None:
    catalog = make.catalog()
    with handler() as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        [lost] = claim.claim(10).claims
        expire_leases()
        with running():
            served.next()
            until(settled, "delivered")
    first, second = Attempt.objects.order_by("number")
    assert (first.outcome, first.status_code, first.number) == ("unknown", None, lost.number)
    assert "Worker lost" in first.error
    assert (second.outcome, second.number) == ("success", 2)
    hook.refresh_from_db()
    assert (hook.triggers, hook.success_triggers, hook.failure_triggers) == (2, 1, 0)
    assert (hook.failure_since_last_success, hook.round) == (0, 0)
    assert webhook_health.counter_discrepancies() == []


def test_claim_holds_until_lease_expires() -> None:
    make.order(make.catalog())
    assert claim.lost_claims() == []
    make.webhook(catalog := make.catalog("2"))
    make.order(catalog)
    [claimed] = claim.claim(10).claims
    assert claim.lost_claims() == []
    # Leases are real time: moving platform time doesn't expire them.
    move_clock(3600)
    assert claim.lost_claims() == []
    expire_leases()
    assert claim.lost_claims() == [claimed]


@pytest.mark.parametrize("again", [False, True], ids=["waiting again", "claimed by another"])
@pytest.mark.parametrize("outcome", [states.SUCCESS, states.FAILURE])
def test_attempt_of_late_worker_is_counted_and_settles_nothing(outcome: str, again: bool) -> None:
    catalog = make.catalog()
    hook = make.webhook(catalog)
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
    hook.refresh_from_db()
    assert (hook.triggers, hook.success_triggers, hook.failure_triggers) == (
        2,
        int(outcome == states.SUCCESS),
        int(outcome == states.FAILURE),
    )
    if other:
        # One that comes even later, together with the one that settles.
        finished = [AttemptResult(late, states.FAILURE, 7), AttemptResult(other, states.SUCCESS, 1)]
        assert record.record(finished) == ["late", "settled"]
        assert Delivery.objects.values_list("state", "attempts").get() == ("delivered", 4)
    assert webhook_health.counter_discrepancies() == []


def settlement(hook: Webhook) -> Any:
    """Return what only the worker with the claim may change."""
    webhook = Webhook.objects.filter(pk=hook.pk).values(
        "earliest_possible_trigger", "gate_closed_at", "round", "out_of_order"
    )
    delivery = Delivery.objects.values("state", "claim", "lease", "forced", "started_at")
    return list(webhook), list(delivery)


def test_attempt_without_result_of_late_worker_is_not_recorded_twice() -> None:
    catalog = make.catalog()
    make.webhook(catalog)
    make.order(catalog)
    [late] = claim.claim(10).claims
    expire_leases()
    record.record(lost_results())
    assert record.record([AttemptResult(late, states.UNKNOWN, 1)]) == ["dropped"]
    assert Attempt.objects.count() == 1


def test_flush_whose_commit_was_not_confirmed_is_not_counted_twice() -> None:
    catalog = make.catalog()
    hook = make.webhook(catalog)
    make.order(catalog, 2)
    first, second = claim.claim(10).claims
    flush_ = [AttemptResult(first, states.SUCCESS, 3), AttemptResult(second, states.SUCCESS, 3)]
    assert record.record(flush_) == ["settled", "settled"]
    assert record.record(flush_) == ["dropped", "dropped"]
    hook.refresh_from_db()
    assert (hook.triggers, Attempt.objects.count()) == (2, 2)
    assert webhook_health.counter_discrepancies() == []


def lease() -> float:
    return Delivery.objects.values_list("lease", flat=True).get() or 0.0


def test_long_request_keeps_its_claim_by_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "RENEW", 0.05)
    monkeypatch.setattr(engine_module, "TICK", 0.05)
    catalog = make.catalog()
    with handler(None) as served:
        make.webhook(catalog, served.url)
        make.order(catalog)
        with running():
            served.next()
            first = lease()
            until(lambda: lease() > first + 0.1, "the lease is renewed")
            served.release.set()
            until(settled, "delivered")
    assert Attempt.objects.get().outcome == "success"


def test_engine_does_not_record_its_own_requests_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    # A process was paused, or the database was down, for longer than the lease.
    monkeypatch.setattr(engine_module, "TICK", 0.02)
    catalog = make.catalog()
    with handler(None) as served:
        make.webhook(catalog, served.url)
        make.order(catalog)
        with running():
            served.next()
            expire_leases()
            until(lambda: lease() > 1.0, "the lease is renewed")
            served.release.set()
            until(settled, "delivered")
        assert len(served.received) == 1
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["success"]


def test_delivery_is_repeated_while_its_lost_request_still_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "TICK", 3600)
    catalog = make.catalog()
    with handler(None) as served:
        make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
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
    assert webhook_health.counter_discrepancies() == []


def test_stopped_engine_records_requests_in_flight_as_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "GRACE", 0.05)
    catalog = make.catalog()
    with handler(None) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog, 2)
        with running():
            served.next(), served.next()
    assert set(Delivery.objects.values_list("state", "claim", "lease")) == {("waiting", None, None)}
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"unknown"}
    hook.refresh_from_db()
    assert (hook.triggers, hook.success_triggers, hook.failure_triggers) == (2, 0, 0)
    assert hook.earliest_possible_trigger is None
    assert webhook_health.counter_discrepancies() == []
    with handler() as served:
        is_called(served, hook)
        with running():
            until(settled, "delivered by the next engine")


def test_stopping_engine_waits_for_requests_in_flight() -> None:
    catalog = make.catalog()
    release = threading.Event()
    with handler(lambda request: (release.wait(15), 200)[1]) as served:
        make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
            served.next()
            stop = threading.Thread(target=engine.stop)
            stop.start()
            release.set()
            stop.join(15)
    assert Delivery.objects.get().state == "delivered"
