"""Validations that hang, are too many, are stopped, lost, or run while the clock moves."""

from __future__ import annotations

import time as real_time
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from requests_queue import clock
from requests_queue.errors import Refused
from requests_queue.queues.fulfillment.models import Request
from sandbox.clock import moves, settling
from tests import make
from tests.background import Background
from tests.engines import lost_results, move_clock, settled, until
from tests.handlers import handler
from tests.make import Catalog
from tests.webhooks.claimed import counted
from tests.webhooks.validating import (  # noqa: F401  (fixtures)
    asking,
    called_validator,
    catalog,
    draft,
    hanging_validator,
    platform,
    recorded,
    refused,
    row,
    states,
    validate,
    validator,
    validator_response,
    value_errors,
)
from webhooks.delivery import claim, fan_out, record, validators
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, Delivery

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]

REJECTED = (
    "Not sent: too many requests to this validator are in flight, because its handler is slow."
)
STOPPED = "Sandbox stopped during the request: the outcome is unknown."
COMPLAINS = validator_response(region={"value_error": "No"})


# -- slots and time


def test_hanging_validator_gets_half_of_the_slots(settings: Any) -> None:
    settings.SIM_VALIDATIONS = 5
    catalog, other = platform(), make.catalog("2", capabilities={"cart": {"validation": True}})
    with handler(None) as slow, handler(COMPLAINS) as quick:
        hook = validator(catalog, slow.url)
        validator(other, quick.url, 2)
        row = draft(catalog)
        waiting = [asking(slow, catalog, row) for _ in range(2)]
        assert refused(catalog, row) == [REJECTED]
        assert validate(other, draft(other))
        assert len(slow.received) == 2
        slow.release.set()
        assert [one.result() for one in waiting] == [True, True]
        assert validate(catalog, row)
    assert counted(hook) == (4, 4, 3, 1, 0)
    tried = Attempt.objects.get(outcome="failure")
    assert (tried.error, tried.status_code, tried.duration) == (REJECTED, None, 0)
    assert not validators._in_flight


def test_only_the_slow_validator_is_rejected(catalog: Catalog, row: Request, settings: Any) -> None:
    settings.SIM_VALIDATIONS = 2
    with handler(None) as slow, handler(COMPLAINS) as quick:
        one = validator(catalog, slow.url, 1)
        waiting = asking(slow, catalog, row)
        two = validator(catalog, quick.url, 2)
        assert refused(catalog, row) == [REJECTED]
        assert len(quick.received) == 1
        slow.release.set()
        waiting.result()
    assert counted(one) == (2, 2, 1, 1, 0)
    assert counted(two) == (1, 1, 1, 0, 0)
    assert value_errors(row) == {}


@pytest.mark.parametrize(("slots", "most"), [(1, 1), (2, 1), (3, 1), (4, 2), (100, 50)])
def test_half_of_the_slots_is_at_least_one(
    catalog: Catalog, settings: Any, slots: int, most: int
) -> None:
    settings.SIM_VALIDATIONS, settings.SIM_MAX_IN_FLIGHT = slots, slots + 1
    make.webhook(catalog)
    make.order(catalog, most + 1)
    claimed = claim.claim(1000).claims
    with ExitStack() as held:
        free = [held.enter_context(validators._slots([one])) for one in claimed]
        assert [bool(slot) for slot in free] == [True] * most + [False]
    assert not validators._in_flight


def test_validation_times_out(catalog: Catalog, row: Request, settings: Any) -> None:
    settings.SIM_VALIDATION_TIMEOUT = 0.4
    with called_validator(catalog, None) as (_, hook):
        began = real_time.monotonic()
        assert refused(catalog, row) == ["Timed out after 0.4 s."]
        assert 0.4 <= real_time.monotonic() - began < 3
    assert recorded(hook) == [("validated in draft", "failed", "failure")]
    assert 400 <= Attempt.objects.get().duration < 900


# -- stopping


def test_stop_ends_requests_in_flight_with_message(catalog: Catalog, row: Request) -> None:
    with called_validator(catalog, None) as (served, hook):
        waiting = Background(lambda: refused(catalog, row))
        served.next()
        began = real_time.monotonic()
        validators.stop()
        assert waiting.result() == [STOPPED]
        assert real_time.monotonic() - began < 4
        assert recorded(hook) == [("validated in draft", "failed", "unknown")]
        assert counted(hook) == (1, 1, 0, 0, 0)
        # Later callers don't wait, and nothing is sent.
        assert refused(catalog, row) == [STOPPED]
        assert len(served.received) == 1
        validators.start()
        served.respond = lambda request: COMPLAINS
        assert validate(catalog, row)


def test_stop_at_any_time_leaves_no_caller_waiting(catalog: Catalog, row: Request) -> None:
    with called_validator(catalog, COMPLAINS) as (served, _):
        for n in range(6):
            waiting = [Background(lambda: refusals(catalog, row)) for _ in range(3)]
            if n % 2:
                served.next()
            validators.stop()
            for one in waiting:
                assert one.result() in ([], [STOPPED])
            validators.start()
    assert settled() and "calling" not in states()


def refusals(catalog: Catalog, row: Request) -> list[str]:
    try:
        validate(catalog, row)
    except Refused as failed:
        return failed.messages[1:]
    return []


# -- lost


def test_validation_of_killed_process_is_recorded_and_not_repeated(
    catalog: Catalog, row: Request, engine: Engine
) -> None:
    with hanging_validator(catalog, COMPLAINS) as (served, hook):
        waiting = asking(served, catalog, row)
        lease = Delivery.objects.values_list("lease", flat=True).get()
        assert lease is not None and 55 < lease - real_time.time() < 65
        # A killed process leaves its lease, which expires.
        Delivery.objects.update(lease=1.0)
        engine.wake()
        until(lambda: Attempt.objects.exists(), "the lost call's attempt")
        tried = Attempt.objects.get()
        assert (tried.outcome, tried.status_code) == ("unknown", None)
        assert "Worker lost during the request" in tried.error
        assert "validators are called once" in tried.why
        # It was only delayed: its late response is counted, but not merged.
        served.release.set()
        with pytest.raises(Refused, match="a response came after its lease had expired"):
            waiting.result()
        move_clock(24 * 3600)
        engine.wake()
        until(settled, "nothing left to do")
    assert recorded(hook)[0][:2] == ("validated in draft", "failed")
    assert counted(hook) == (1, 2, 1, 0, 0)
    late = Attempt.objects.get(outcome="success")
    assert late.why == "Nothing is merged: a response came after its lease had expired."
    assert (len(served.received), Attempt.objects.count()) == (1, 2)


def test_restart_expires_leases(catalog: Catalog, row: Request) -> None:
    with hanging_validator(catalog, COMPLAINS) as (served, hook):
        waiting = asking(served, catalog, row)
        assert claim.lost_claims() == []
        claim.expire_leases()
        assert record.record(lost_results()) == ["settled"]
        served.release.set()
        with pytest.raises(Refused):
            waiting.result()
    assert recorded(hook)[0][:2] == ("validated in draft", "failed")


def test_engine_does_not_claim_validations(catalog: Catalog, row: Request, engine: Engine) -> None:
    with hanging_validator(catalog, COMPLAINS) as (served, _):
        waiting = asking(served, catalog, row)
        engine.wake()
        with handler() as other:
            fan_out.trigger(make.webhook(catalog, other.url, n=2))
            other.next()
        assert engine.in_flight <= 1 and states()[0] == "calling"
        served.release.set()
        assert waiting.result() is True
    until(settled, "both calls")
    assert len(served.received) == 1


# -- moving time


def test_move_of_clock_does_not_time_out_validation(
    catalog: Catalog, row: Request, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "PATIENCE", 0.1)
    with hanging_validator(catalog, COMPLAINS) as (served, hook):
        waiting = asking(served, catalog, row)
        pk = Delivery.objects.get().pk
        began = real_time.monotonic()
        moved = moves.advance(timedelta(days=2))
        assert real_time.monotonic() - began < 10
        assert moved.end - moved.start == timedelta(days=2)
        # Two days later it still hangs: it has no deadline in platform time.
        assert settling.unsettled(clock.now()) == {f"calling:{pk}.1"}
        assert settling.next_due(clock.now()) is None
        assert not waiting.ended.is_set()
        served.release.set()
        assert waiting.result() is True
    assert value_errors(row) == {"region": "No"}
    assert recorded(hook) == [("validated in draft", "delivered", "success")]
    tried = Attempt.objects.get()
    assert tried.finished_at - tried.started_at >= timedelta(days=2)
    assert tried.duration < 60_000


# -- Trigger now


@pytest.mark.parametrize(("status", "state"), [(200, "delivered"), (500, "failed")])
def test_trigger_now_sends_the_payload_once(
    catalog: Catalog, engine: Engine, status: int, state: str
) -> None:
    with called_validator(catalog, status, data={"n": 1}) as (served, hook):
        fan_out.trigger(hook)
        request = served.next()
        until(settled, "the call")
        move_clock(24 * 3600)
        engine.wake()
        until(settled, "nothing left to do")
    assert request.method == "POST" and "id" not in request.json
    assert (request.json["webhook_id"], request.json["data"]) == (hook.pk, {"n": 1})
    assert request.json["object_class"] == "fulfillment_requests"
    assert [event for event, *_ in recorded(hook)] == ["Trigger now"]
    assert states() == [state] and len(served.received) == 1
    ok = int(status == 200)
    assert counted(hook) == (1, 1, ok, 1 - ok, 1 - ok)
    assert (hook.round, hook.earliest_possible_trigger, hook.out_of_order) == (0, None, False)
