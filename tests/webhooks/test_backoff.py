"""Backoff, out of order and recovery: real requests to a real handler."""

from __future__ import annotations

import itertools
import queue
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from requests_queue import clock
from requests_queue.errors import Refused
from sandbox.clock import settling
from tests import make
from tests.engines import move_clock, running, settled, until
from tests.handlers import Handler, ReceivedRequest, Response, handler
from webhooks import actions, states, webhook_health
from webhooks.delivery import claim, fan_out, record, wakeup
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, ClearedBackoff, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


class OneByOne:
    """Responses of a handler, set by the test: the n-th request waits for `give(n, …)`."""

    def __init__(self) -> None:
        self._count = itertools.count()
        self._boxes: list[queue.Queue[Response]] = [queue.Queue() for _ in range(40)]

    def __call__(self, request: ReceivedRequest) -> Response:
        return self._boxes[next(self._count)].get(timeout=30)

    def give(self, response: Response, *calls: int) -> None:
        for n in calls:
            self._boxes[n].put(response)


def attempts(count: int) -> None:
    until(lambda: Attempt.objects.count() == count, f"{count} recorded calls")


def end_backoff(hook: Webhook, engine: Engine) -> None:
    """Move platform time to the end of the backoff."""
    hook.refresh_from_db()
    assert hook.earliest_possible_trigger is not None
    ahead = hook.earliest_possible_trigger - clock.now()
    move_clock(max(0.0, ahead.total_seconds()) + 0.001)
    engine.wake()


def standing(hook: Webhook) -> tuple[int, bool, bool]:
    """Return the failure count, and whether the webhook backs off or is out of order."""
    hook.refresh_from_db()
    return (hook.round, hook.earliest_possible_trigger is not None, hook.out_of_order)


def look(engine: Engine, catalog: make.Catalog, n: int) -> None:
    """Let the engine poll once and send a request, so that what it doesn't send then
    isn't due."""
    with handler() as other:
        hook = make.webhook(catalog, other.url, n=n)
        fan_out.trigger(hook)
        engine.wake()
        other.next()
        until(lambda: settled(hook), "the other webhook's call")


@pytest.fixture
def fragile(settings: Any) -> None:
    """One failure makes a webhook out of order."""
    settings.SIM_FAILURE_LIMIT = 1


def broken(served: Handler, hook: Webhook) -> None:
    """Wait until the webhook is out of order after its first failure."""
    served.next()
    until(lambda: standing(hook)[2], "out of order")


def causes(hook: Webhook) -> list[str]:
    """Return the causes of the webhook's cleared backoffs, in order."""
    return list(hook.cleared_backoffs.order_by("pk").values_list("cause", flat=True))


def test_backoff_doubles_until_out_of_order(settings: Any) -> None:
    settings.SIM_FAILURE_LIMIT = 5
    settings.SIM_RETRY_CAP = 1200
    catalog = make.catalog()
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
            for round_, seconds in enumerate((300, 600, 1200, 1200), 1):
                served.next()
                attempts(round_)
                assert standing(hook) == (round_, True, False)
                last = Attempt.objects.get(number=round_)
                gap = hook.earliest_possible_trigger - last.finished_at
                assert timedelta(seconds=seconds) <= gap < timedelta(seconds=seconds + 1)
                assert last.why == f"Failed ({round_} of 5)."
                assert last.next_attempt_at == hook.earliest_possible_trigger
                assert claim.select(1, clock.now())[0] == []
                assert wakeup.next_due(clock.now()) == hook.earliest_possible_trigger
                end_backoff(hook, engine)
            attempts(5)
            assert standing(hook) == (5, False, True)
            assert wakeup.next_due(clock.now()) is None
    assert "out of order" in Attempt.objects.get(number=5).why
    assert Delivery.objects.get().state == "waiting"
    assert (hook.failure_triggers, hook.failure_since_last_success) == (5, 5)
    started = list(Attempt.objects.order_by("number").values_list("started_at", flat=True))
    assert started == sorted(started)


def test_concurrent_failures_count_once() -> None:
    catalog = make.catalog()
    responses = OneByOne()
    with handler(responses) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog, 10)
        with running() as [engine]:
            for _ in range(10):
                served.next()
            responses.give(503, *range(10))
            attempts(10)
            assert standing(hook) == (1, True, False)
            assert (hook.triggers, hook.failure_triggers) == (10, 10)
            assert hook.failure_since_last_success == 10
            # Five minutes after the last failure, so that none is repeated sooner.
            ended = Attempt.objects.order_by("-finished_at")[0].finished_at
            gap = hook.earliest_possible_trigger - ended
            assert timedelta(seconds=300) <= gap < timedelta(seconds=301)
            whys = list(Attempt.objects.values_list("why", flat=True))
            assert whys.count("Failed (1 of 10).") == 1
            assert sum("not counted again" in why for why in whys) == 9

            # After the backoff, one is sent first ...
            end_backoff(hook, engine)
            served.next()
            assert claim.select(1, clock.now())[0] == []
            assert Delivery.objects.filter(state="calling").count() == 1
            assert Delivery.objects.filter(state="waiting").count() == 9
            # ... and is the oldest; the others follow its success.
            assert Delivery.objects.get(state="calling") == Delivery.objects.earliest("pk")
            responses.give(200, *range(10, 20))
            until(settled, "all delivered")
    assert standing(hook) == (0, False, False)
    assert (hook.triggers, hook.success_triggers) == (20, 10)
    assert hook.failure_since_last_success == 0
    assert causes(hook) == ["succeeded"]
    assert webhook_health.counter_discrepancies() == []


def test_failure_after_backoff_is_counted() -> None:
    catalog = make.catalog()
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog, 3)
        with running() as [engine]:
            attempts(3)
            end_backoff(hook, engine)
            attempts(4)
            assert standing(hook) == (2, True, False)
            assert served.calls.qsize() == 4


def test_success_already_in_flight_does_not_clear_backoff() -> None:
    catalog = make.catalog()
    responses = OneByOne()
    with handler(responses) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog, 5)
        with running() as [engine]:
            for _ in range(5):
                served.next()
            responses.give(500, 0)
            attempts(1)
            until_ = hook_until(hook)
            responses.give(200, 1, 2, 3)
            attempts(4)
            # The successes are counted and change nothing else.
            assert standing(hook) == (1, True, False)
            assert hook.earliest_possible_trigger == until_
            assert (hook.success_triggers, hook.failure_since_last_success) == (3, 0)
            assert hook.last_success is not None
            assert "so the backoff does not end" in hook.last_success.why
            # Another request in flight fails later: not counted, and no sooner retry.
            responses.give(500, 4)
            attempts(5)
            assert standing(hook) == (1, True, False)
            late = Attempt.objects.latest("pk")
            assert late.next_attempt_at == hook.earliest_possible_trigger
            assert late.next_attempt_at - late.finished_at >= timedelta(seconds=300)
            look(engine, catalog, n=2)
            assert served.calls.qsize() == 0 and causes(hook) == []
            responses.give(200, 5, 6)
            end_backoff(hook, engine)
            until(settled, "all delivered")
    assert standing(hook) == (0, False, False)
    assert causes(hook) == ["succeeded"]
    cleared = hook.cleared_backoffs.get()
    assert (cleared.attempt.number, cleared.failures) == (2, 1)


def hook_until(hook: Webhook) -> Any:
    hook.refresh_from_db()
    return hook.earliest_possible_trigger


def test_no_failed_delivery_of_a_burst_is_repeated_within_five_minutes() -> None:
    """Send 30 orders, of which some fail while the others are in flight, by platform time."""
    catalog = make.catalog()
    lock, count = threading.Lock(), itertools.count(1)

    def respond(request: ReceivedRequest) -> int:
        with lock:
            n = next(count)
        # Some fail immediately, some after others have succeeded.
        if n > 30 or n % 5:
            threading.Event().wait(0.01 * (n % 3))
            return 200
        threading.Event().wait(0.03 * (n % 2))
        return 503

    with handler(respond) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog, 30)
        with running(2) as engines:
            for _ in range(20):
                quiet()
                if settled():
                    break
                end_backoff(hook, engines[0])
            until(settled, "all delivered")
    retried = Attempt.objects.filter(number__gt=1).select_related("delivery")
    assert retried.count() >= 2
    for later in retried:
        former = Attempt.objects.get(delivery=later.delivery, number=later.number - 1)
        assert later.started_at - former.finished_at >= timedelta(seconds=300)
        assert former.next_attempt_at and later.started_at >= former.next_attempt_at
    assert set(causes(hook)) == {"succeeded"}
    assert webhook_health.counter_discrepancies() == []


def quiet() -> None:
    """Wait until nothing is due or in flight."""
    until(lambda: not settling.unsettled(clock.now()), "nothing due")


@pytest.mark.parametrize("response", [199 + 1, 201, 204, 299])
def test_2xx_is_success(response: int) -> None:
    catalog = make.catalog()
    with handler((response, b"")) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running():
            until(settled, "delivered")
    hook.refresh_from_db()
    assert (hook.success_triggers, hook.failure_triggers) == (1, 0)


@pytest.mark.parametrize("response", [300, 304, 400, 404, 429, 500, 599])
def test_other_status_is_failure(response: int) -> None:
    catalog = make.catalog()
    with handler((response, b"")) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running():
            attempts(1)
    assert standing(hook) == (1, True, False)
    assert Attempt.objects.get().status_code == response


def test_timeout_is_failure_without_status(settings: Any) -> None:
    settings.SIM_HTTP_TIMEOUT = 0.2
    catalog = make.catalog()
    with handler(None) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running():
            attempts(1)
    attempt = Attempt.objects.get()
    assert standing(hook) == (1, True, False)
    assert (attempt.outcome, attempt.status_code) == ("failure", None)
    assert "Timed out after 0.2 s" in attempt.error
    assert attempt.duration >= 200


def test_out_of_order_webhook_sends_nothing_and_later_events_join(fragile: None) -> None:
    catalog = make.catalog()
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
            broken(served, hook)
            make.order(catalog, 3)
            look(engine, catalog, n=2)
            hook.refresh_from_db()
            assert (hook.events, hook.triggers) == (4, 1)
            only = Delivery.objects.get(webhook=hook)
            assert (only.state, only.events.count()) == ("waiting", 4)
            assert served.calls.qsize() == 0


@pytest.mark.parametrize("way", ["put", "put_url", "recover", "trigger"])
def test_recovery_sends_one_delivery_first_then_the_others(
    way: str, settings: Any, fragile: None
) -> None:
    catalog = make.catalog()
    responses = OneByOne()
    with handler(responses) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog, 4)
        responses.give(500, 0, 1, 2, 3)
        with running() as [engine]:
            broken(served, hook)
            attempts(4)
            settings.SIM_FAILURE_LIMIT = 10
            for _ in range(3):
                served.next()
            if way == "trigger":
                fan_out.trigger(hook)
            elif way == "recover":
                assert actions.recover(hook.pk) is True
            else:
                changed = {"external_url": f"{served.url}new"} if way == "put_url" else {}
                actions.edit(hook.pk, catalog.vendor_user, {"label": "Renamed"} | changed)
            engine.wake()
            served.next()
            # One is sent first, and the others follow its success.
            assert claim.select(1, clock.now())[0] == []
            assert Delivery.objects.filter(state="waiting").count() == (
                4 if way == "trigger" else 3
            )
            responses.give(200, *range(4, 10))
            until(settled, "all delivered")
    assert standing(hook) == (0, False, False)
    assert Delivery.objects.exclude(state="delivered").count() == 0
    assert hook.success_triggers == (5 if way == "trigger" else 4)
    assert causes(hook) == [{"recover": "recovered", "trigger": "triggered"}.get(way, "edited")]
    assert hook.cleared_backoffs.get().was_out_of_order
    assert webhook_health.counter_discrepancies() == []


@pytest.mark.parametrize("way", ["put", "recover"])
def test_failure_after_recovery_counts_from_one(way: str, settings: Any, fragile: None) -> None:
    catalog = make.catalog()
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
            broken(served, hook)
            settings.SIM_FAILURE_LIMIT = 10
            if way == "put":
                actions.edit(hook.pk, catalog.vendor_user, {"active": True})
            else:
                actions.recover(hook.pk)
            engine.wake()
            attempts(2)
            assert standing(hook) == (1, True, False)


def test_recovery_with_nothing_pending_leaves_no_backoff(settings: Any) -> None:
    hook = make.webhook(make.catalog())
    Webhook.objects.update(out_of_order=True, round=10)
    assert actions.recover(hook.pk) is True
    assert standing(hook) == (0, False, False)
    # A second time there is nothing to do.
    assert actions.recover(hook.pk) is False


def test_deletion_removes_cleared_backoffs(settings: Any) -> None:
    settings.SIM_FAILURE_LIMIT = 1
    catalog = make.catalog()
    hook = make.webhook(catalog)
    make.order(catalog)
    record.record([AttemptResult(one, states.FAILURE, 1) for one in claim.claim(10).claims])
    fan_out.trigger(hook)
    record.record([AttemptResult(one, states.SUCCESS, 1) for one in claim.claim(10).claims])
    assert causes(hook) == ["triggered"]
    actions.delete(hook.pk)
    assert not ClearedBackoff.objects.exists() and not Attempt.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM webhooks_webhook")
        assert cursor.fetchone() == (0,)


def test_failed_trigger_now_does_not_recover(fragile: None) -> None:
    catalog = make.catalog()
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
            broken(served, hook)
            fan_out.trigger(hook)
            engine.wake()
            attempts(2)
            assert standing(hook) == (1, False, True)
            assert Delivery.objects.filter(state="waiting", forced=False).count() == 2
            look(engine, catalog, n=2)
            assert Attempt.objects.filter(webhook=hook).count() == 2


@pytest.mark.parametrize(
    "change",
    [
        {"external_url": "more"},
        {"http_method": "GET"},
        {"jwt_secret": "JWT-another-secret-of-more-than-32-bytes"},
        {"headers": {"X-New": "1"}},
        {"data": {"new": 1}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_edit_of_request_settings_clears_backoff(change: dict[str, Any]) -> None:
    catalog = make.catalog()
    responses = iter([500, 200])
    with handler(lambda request: next(responses)) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
            attempts(1)
            if "external_url" in change:
                change = {"external_url": f"{served.url}more"}
            actions.edit(hook.pk, catalog.vendor_user, change)
            assert standing(hook) == (0, False, False)
            engine.wake()
            until(settled, "delivered without waiting for the backoff")
    assert Attempt.objects.count() == 2
    cleared = hook.cleared_backoffs.get()
    assert (cleared.cause, cleared.user, cleared.failures) == ("edited", catalog.vendor_user, 1)
    names = {
        "external_url": "endpoint URL",
        "http_method": "method",
        "jwt_secret": "JWT secret",
        "headers": "headers",
        "data": "additional data",
    }
    assert cleared.detail == names[next(iter(change))]
    first, second = Attempt.objects.order_by("number")
    assert first.finished_at <= cleared.at <= second.started_at < first.next_attempt_at


@pytest.mark.parametrize("change", [{"label": "Another"}, {"description": "More"}, {"data": {}}])
def test_other_edits_keep_backoff(change: dict[str, Any]) -> None:
    catalog = make.catalog()
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running():
            attempts(1)
            assert standing(hook) == (1, True, False)
            gate = hook.earliest_possible_trigger
            actions.edit(hook.pk, catalog.vendor_user, change)
            assert standing(hook) == (1, True, False)
            assert hook.earliest_possible_trigger == gate


def test_events_during_backoff_join_youngest_pending_delivery() -> None:
    catalog = make.catalog()
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog, 2)
        with running() as [engine]:
            attempts(2)
            make.order(catalog, 3)
            hook.refresh_from_db()
            served.respond = lambda request: 200
            end_backoff(hook, engine)
            until(settled, "delivered")
    oldest, youngest = Delivery.objects.order_by("pk")
    assert (oldest.events.count(), youngest.events.count()) == (1, 4)
    hook.refresh_from_db()
    assert (hook.events, hook.triggers) == (5, 4)


@pytest.mark.parametrize(("response", "after"), [(200, (0, False, False)), (500, (1, True, False))])
def test_trigger_now_on_a_healthy_webhook(response: int, after: tuple[int, bool, bool]) -> None:
    catalog = make.catalog()
    with handler(response) as served, running() as [engine]:
        hook = make.webhook(catalog, served.url)
        fan_out.trigger(hook)
        engine.wake()
        attempts(1)
        assert standing(hook) == after
    event = Event.objects.get()
    assert (event.object_id, event.status_from, event.status_to) == ("", "", "")
    assert (hook.events, hook.triggers) == (1, 1)
    assert hook.last_event == clock.shown(event.at)


def test_failed_trigger_now_is_not_counted_and_is_retried() -> None:
    catalog = make.catalog()
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
            attempts(1)
            assert standing(hook) == (1, True, False)
            closed_at = hook.gate_closed_at
            fan_out.trigger(hook)
            engine.wake()
            attempts(2)
            assert standing(hook) == (1, True, False)
            forced = Attempt.objects.latest("pk")
            assert forced.why == "Failed. Trigger now during the backoff; not counted."
            assert hook.gate_closed_at == closed_at
            # Five minutes after this failure, which is the later one.
            assert hook.earliest_possible_trigger == forced.next_attempt_at
            assert forced.next_attempt_at - forced.finished_at >= timedelta(seconds=300)
            # It is retried like any other.
            served.respond = lambda request: 200
            end_backoff(hook, engine)
            until(settled, "both delivered")
    hook.refresh_from_db()
    assert (hook.events, hook.triggers, hook.success_triggers) == (2, 4, 2)


def test_successful_trigger_now_clears_backoff() -> None:
    catalog = make.catalog()
    responses = iter([500, 200, 200])
    with handler(lambda request: next(responses)) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
            attempts(1)
            fan_out.trigger(hook)
            engine.wake()
            until(settled, "both delivered, without any time passing")
    assert standing(hook) == (0, False, False)
    cleared = hook.cleared_backoffs.get()
    assert (cleared.cause, cleared.failures) == ("triggered", 1)
    assert cleared.attempt == Attempt.objects.get(delivery__pk=Delivery.objects.latest("pk").pk)


def test_trigger_now_already_in_flight_does_not_clear_backoff() -> None:
    catalog = make.catalog()
    responses = OneByOne()
    with handler(responses) as served:
        hook = make.webhook(catalog, served.url)
        fan_out.trigger(hook)
        with running() as [engine]:
            served.next()
            make.order(catalog)
            engine.wake()
            served.next()
            responses.give(500, 1)
            attempts(1)
            responses.give(200, 0)
            attempts(2)
            assert standing(hook) == (1, True, False)
            assert causes(hook) == []


def test_trigger_now_goes_first_and_ignores_the_limit(settings: Any) -> None:
    settings.SIM_MAX_IN_FLIGHT = 1
    catalog = make.catalog()
    responses = OneByOne()
    with handler(responses) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog, 2)
        with running() as [engine]:
            served.next()
            fan_out.trigger(hook)
            engine.wake()
            served.next()
            assert set(
                Delivery.objects.filter(state="calling").values_list("forced", flat=True)
            ) == {
                False,
                True,
            }
            responses.give(200, 0, 1, 2)
            until(settled, "all delivered")


def test_trigger_now_in_flight_does_not_count_toward_the_limit(settings: Any) -> None:
    settings.SIM_MAX_IN_FLIGHT = 1
    catalog = make.catalog()
    hook = make.webhook(catalog)
    fan_out.trigger(hook)
    [forced] = claim.claim(10).claims
    make.order(catalog)
    [other] = claim.claim(10).claims
    assert (forced.forced, other.forced) == (True, False)


def test_trigger_now_on_a_disabled_webhook_is_refused_and_writes_nothing() -> None:
    hook = make.webhook(make.catalog(), active=False)
    with pytest.raises(Refused) as refused:
        fan_out.trigger(hook)
    assert refused.value.status == 400
    assert "enable it" in refused.value.messages[0]
    hook.refresh_from_db()
    assert (hook.events, hook.last_event) == (0, None)
    assert not Event.objects.exists() and not Delivery.objects.exists()


@pytest.mark.parametrize(("response", "state"), [(200, "delivered"), (500, "failed")])
def test_trigger_now_on_a_validator_is_called_once(response: int, state: str) -> None:
    catalog = make.catalog()
    with handler(response) as served, running() as [engine]:
        hook = make.webhook(catalog, served.url, type="validator")
        fan_out.trigger(hook)
        engine.wake()
        request = served.next()
        until(settled, "recorded")
        assert Delivery.objects.get().state == state
    # There is no object to validate: the body is the payload.
    assert request.json["webhook_id"] == hook.pk
    assert list(request.json)[-1] == "data"
    assert standing(hook) == (0, False, False)
    assert (hook.events, hook.triggers) == (1, 1)
    assert webhook_health.counter_discrepancies() == []
