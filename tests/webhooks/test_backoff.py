"""Backoff, out of order and recovery, of real requests and of attempts without HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from requests_queue import clock
from requests_queue.errors import Refused
from tests import make
from tests.engines import move_clock, running, until
from tests.handlers import handler
from tests.webhooks.calling import called_webhook
from tests.webhooks.claimed import counted, finish
from webhooks import actions, states
from webhooks.delivery import claim, fan_out, record, wakeup
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, ClearedBackoff, Delivery, Event, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]


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


def causes(hook: Webhook) -> list[str]:
    """Return the causes of the webhook's cleared backoffs, in order."""
    return list(hook.cleared_backoffs.order_by("pk").values_list("cause", flat=True))


def test_backoff_doubles_until_out_of_order(catalog: make.Catalog, settings: Any) -> None:
    settings.SIM_FAILURE_LIMIT = 5
    settings.SIM_RETRY_CAP = 1200
    with called_webhook(catalog, 500) as (served, hook), running() as [engine]:
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


def test_concurrent_failures_count_once(catalog: make.Catalog, hook: Webhook) -> None:
    make.order(catalog, 10)
    finish(states.FAILURE)
    assert standing(hook) == (1, True, False)
    assert counted(hook) == (10, 10, 0, 10, 10)
    # Five minutes after the last failure, so that none is repeated sooner.
    ended = Attempt.objects.order_by("-finished_at")[0].finished_at
    gap = hook.earliest_possible_trigger - ended
    assert timedelta(seconds=300) <= gap < timedelta(seconds=301)
    whys = list(Attempt.objects.values_list("why", flat=True))
    assert whys.count("Failed (1 of 10).") == 1
    assert sum("not counted again" in why for why in whys) == 9

    # After the backoff, the oldest is sent first, and the others follow its success.
    move_clock(400)
    [first] = claim.claim(100).claims
    assert first.delivery_id == Delivery.objects.earliest("pk").pk
    assert claim.claim(100).claims == []
    record.record([AttemptResult(first, states.SUCCESS, 1)])
    assert len(finish()) == 9
    assert standing(hook) == (0, False, False)
    assert counted(hook) == (10, 20, 10, 10, 0)
    assert causes(hook) == ["succeeded"]


def test_success_already_in_flight_does_not_clear_backoff(
    catalog: make.Catalog, hook: Webhook
) -> None:
    make.order(catalog, 5)
    first, *others, last = claim.claim(10).claims
    record.record([AttemptResult(first, states.FAILURE, 1)])
    hook.refresh_from_db()
    until_ = hook.earliest_possible_trigger
    record.record([AttemptResult(each, states.SUCCESS, 1) for each in others])
    # The successes are counted and change nothing else.
    assert standing(hook) == (1, True, False)
    assert hook.earliest_possible_trigger == until_
    assert counted(hook) == (5, 4, 3, 1, 0)
    assert "so the backoff does not end" in hook.last_success.why
    # Another request in flight fails later: not counted, and no sooner retry.
    record.record([AttemptResult(last, states.FAILURE, 1)])
    assert standing(hook) == (1, True, False)
    late = Attempt.objects.latest("pk")
    assert late.next_attempt_at == hook.earliest_possible_trigger
    assert late.next_attempt_at - late.finished_at >= timedelta(seconds=300)
    assert claim.claim(10).claims == [] and causes(hook) == []
    move_clock(400)
    assert [len(finish()) for _ in range(3)] == [1, 1, 0]
    assert standing(hook) == (0, False, False)
    cleared = hook.cleared_backoffs.get()
    assert (cleared.cause, cleared.attempt.number, cleared.failures) == ("succeeded", 2, 1)


@pytest.mark.parametrize(
    ("status", "after"),
    [
        *((status, (1, 0, 0)) for status in (200, 201, 204, 299)),
        *((status, (0, 1, 1)) for status in (300, 304, 400, 404, 429, 500, 599)),
    ],
)
def test_only_2xx_is_success(
    catalog: make.Catalog, status: int, after: tuple[int, int, int]
) -> None:
    with called_webhook(catalog, (status, b"")) as (_, hook), running():
        attempts(1)
    hook.refresh_from_db()
    assert (hook.success_triggers, hook.failure_triggers, hook.round) == after
    assert Attempt.objects.get().status_code == status


def test_timeout_is_failure_without_status(catalog: make.Catalog, settings: Any) -> None:
    settings.SIM_HTTP_TIMEOUT = 0.2
    with called_webhook(catalog, None) as (_, hook), running():
        attempts(1)
    attempt = Attempt.objects.get()
    assert standing(hook) == (1, True, False)
    assert (attempt.outcome, attempt.status_code) == ("failure", None)
    assert "Timed out after 0.2 s" in attempt.error and attempt.duration >= 200


def test_out_of_order_webhook_sends_nothing_and_later_events_join(
    catalog: make.Catalog, hook: Webhook, settings: Any
) -> None:
    settings.SIM_FAILURE_LIMIT = 1
    make.order(catalog)
    finish(states.FAILURE)
    assert standing(hook) == (1, False, True)
    make.order(catalog, 3)
    assert finish() == []
    assert counted(hook) == (4, 1, 0, 1, 1)
    only = Delivery.objects.get()
    assert (only.state, only.events.count()) == ("waiting", 4)


@pytest.mark.parametrize(
    ("way", "cause", "count"),
    [
        ("put", "edited", 4),
        ("put_url", "edited", 4),
        ("recover", "recovered", 4),
        ("trigger", "triggered", 5),
    ],
)
def test_recovery_sends_one_delivery_first_then_the_others(
    catalog: make.Catalog, hook: Webhook, settings: Any, way: str, cause: str, count: int
) -> None:
    settings.SIM_FAILURE_LIMIT = 1
    make.order(catalog, 4)
    finish(states.FAILURE)
    assert standing(hook) == (1, False, True)
    if way == "trigger":
        fan_out.trigger(hook)
    elif way == "recover":
        assert actions.recover(hook.pk) is True
    else:
        changed = {"external_url": "http://127.0.0.1:9/new"} if way == "put_url" else {}
        actions.edit(hook.pk, catalog.vendor_user, {"label": "Renamed"} | changed)
    # One is sent first, and the others follow its success.
    assert [len(finish()) for _ in range(3)] == [1, count - 1, 0]
    assert standing(hook) == (0, False, False)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert hook.success_triggers == count
    assert causes(hook) == [cause] and hook.cleared_backoffs.get().was_out_of_order


@pytest.mark.parametrize("way", ["put", "recover"])
def test_recovery_leaves_no_backoff_and_no_failure_count(
    catalog: make.Catalog, hook: Webhook, way: str
) -> None:
    Webhook.objects.update(out_of_order=True, round=10)
    if way == "put":
        actions.edit(hook.pk, catalog.vendor_user, {"active": True})
    else:
        assert actions.recover(hook.pk) is True
    assert standing(hook) == (0, False, False)
    # A second time there is nothing to do.
    assert actions.recover(hook.pk) is False


def test_successful_trigger_now_clears_backoff_until_the_webhook_is_deleted(
    catalog: make.Catalog, hook: Webhook
) -> None:
    make.order(catalog)
    finish(states.FAILURE)
    forced = fan_out.trigger(hook)
    finish()
    assert standing(hook) == (0, False, False)
    cleared = hook.cleared_backoffs.values_list("cause", "failures", "attempt__delivery")
    assert list(cleared) == [("triggered", 1, forced.pk)]
    actions.delete(hook.pk)
    assert not ClearedBackoff.objects.exists() and not Attempt.objects.exists()
    assert not Webhook.with_deleted.exists()


def test_failed_trigger_now_does_not_recover(
    catalog: make.Catalog, hook: Webhook, settings: Any
) -> None:
    settings.SIM_FAILURE_LIMIT = 1
    make.order(catalog)
    finish(states.FAILURE)
    fan_out.trigger(hook)
    assert len(finish(states.FAILURE)) == 1
    assert standing(hook) == (1, False, True)
    assert Delivery.objects.filter(state="waiting", forced=False).count() == 2
    assert finish() == []


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"external_url": "http://127.0.0.1:9/more"}, "endpoint URL"),
        ({"http_method": "GET"}, "method"),
        ({"jwt_secret": "JWT-another-secret-of-more-than-32-bytes"}, "JWT secret"),
        ({"headers": {"X-New": "1"}}, "headers"),
        ({"data": {"new": 1}}, "additional data"),
    ],
)
def test_edit_of_request_settings_clears_backoff(
    catalog: make.Catalog, hook: Webhook, change: dict[str, Any], detail: str
) -> None:
    make.order(catalog)
    finish(states.FAILURE)
    actions.edit(hook.pk, catalog.vendor_user, change)
    assert standing(hook) == (0, False, False)
    cleared = hook.cleared_backoffs.get()
    assert (cleared.cause, cleared.user, cleared.failures, cleared.detail) == (
        "edited",
        catalog.vendor_user,
        1,
        detail,
    )
    # It is sent again without waiting for the backoff.
    [again] = claim.claim(10).claims
    first = Attempt.objects.get()
    assert first.finished_at <= cleared.at <= again.started_at < first.next_attempt_at


@pytest.mark.parametrize("change", [{"label": "Another"}, {"description": "More"}, {"data": {}}])
def test_other_edits_keep_backoff(
    catalog: make.Catalog, hook: Webhook, change: dict[str, Any]
) -> None:
    until_ = clock.shown(clock.now() + timedelta(minutes=5))
    Webhook.objects.update(round=1, earliest_possible_trigger=until_)
    actions.edit(hook.pk, catalog.vendor_user, change)
    assert standing(hook) == (1, True, False)
    assert hook.earliest_possible_trigger == until_


def test_events_during_backoff_join_youngest_pending_delivery(
    catalog: make.Catalog, hook: Webhook
) -> None:
    make.order(catalog, 2)
    finish(states.FAILURE)
    make.order(catalog, 3)
    move_clock(400)
    finish(), finish()
    oldest, youngest = Delivery.objects.order_by("pk")
    assert (oldest.events.count(), youngest.events.count()) == (1, 4)
    assert counted(hook) == (5, 4, 2, 2, 0)


@pytest.mark.parametrize(("response", "after"), [(200, (0, False, False)), (500, (1, True, False))])
def test_trigger_now_on_a_healthy_webhook(
    catalog: make.Catalog, response: int, after: tuple[int, bool, bool]
) -> None:
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


def test_trigger_now_ignores_the_limit_and_does_not_count_toward_it(
    catalog: make.Catalog, hook: Webhook, settings: Any
) -> None:
    settings.SIM_MAX_IN_FLIGHT = 1
    fan_out.trigger(hook)
    claimed = claim.claim(10).claims
    make.order(catalog, 2)
    claimed += claim.claim(10).claims
    fan_out.trigger(hook)
    claimed += claim.claim(10).claims
    assert [one.forced for one in claimed] == [True, False, True]


def test_trigger_now_on_a_disabled_webhook_is_refused_and_writes_nothing() -> None:
    hook = make.webhook(make.catalog(), active=False)
    with pytest.raises(Refused) as refused:
        fan_out.trigger(hook)
    assert refused.value.status == 400
    assert "enable it" in refused.value.messages[0]
    hook.refresh_from_db()
    assert (hook.events, hook.last_event) == (0, None)
    assert not Event.objects.exists() and not Delivery.objects.exists()
