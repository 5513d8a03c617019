"""Selection of deliveries: webhooks whose handlers hang cannot take all slots."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from requests_queue import clock, event_loops
from tests import make
from tests.engines import running, until
from tests.handlers import handler
from webhooks.delivery import attempt, claim, fan_out
from webhooks.delivery.claim import Slots
from webhooks.delivery.request import WebhookPayload, WebhookSettings
from webhooks.models import Delivery, Webhook

TOTALS = st.integers(1, 300)
LIMITS = st.integers(1, 40)


def fill(slots: Slots) -> tuple[list[str], Slots]:
    """Claim until nothing more may start; return whose deliveries were claimed, and the slots."""
    claimed_webhooks: list[str] = []
    while claimed := claim.claim(slots.free, slots).claims:
        claimed_webhooks += [c.webhook.id for c in claimed]
        slots = replace(slots, used=slots.used + len(claimed))
    return claimed_webhooks, slots


@pytest.mark.django_db
def test_webhook_with_nothing_in_flight_is_claimed_beside_hanging_ones() -> None:
    catalog, other = make.catalog(), make.catalog("2")
    hanging = [make.webhook(catalog, n=n) for n in range(1, 4)]
    make.order(catalog, 20)
    claimed, slots = fill(Slots(8))
    assert (set(claimed), slots.used) == ({hook.pk for hook in hanging}, 4)
    late = make.webhook(other, n=9)
    make.order(other, 5)
    # One at a time while few slots are free, and one is left for the next.
    assert fill(slots)[0] == [late.pk]


@pytest.mark.django_db
def test_last_slots_are_for_webhooks_that_respond(catalog: make.Catalog) -> None:
    for n in range(40):
        make.webhook(catalog, n=100 + n)
    make.order(catalog, 3)
    slots = fill(Slots(40))[1]
    assert slots.used == 36
    responding = [make.webhook(catalog, n=n, responds=True).pk for n in (1, 2)]
    make.webhook(catalog, n=3)
    make.order(catalog, 2)
    # One each of those that respond.
    assert sorted(fill(slots)[0]) == responding


@pytest.mark.django_db
def test_webhook_with_long_backlog_uses_only_its_limit(
    catalog: make.Catalog, hook: Webhook
) -> None:
    Delivery.objects.bulk_create(
        Delivery(webhook=hook, created_at=make.AT) for _ in range(2 * claim.MAX_BATCH)
    )
    late = make.webhook(catalog, n=2)
    make.order(catalog)
    claimed, slots = fill(Slots(4000))
    assert (claimed.count(hook.pk), claimed.count(late.pk), slots.used) == (10, 1, 11)


@pytest.mark.django_db
def test_claim_has_maximum_size_and_next_one_continues(
    catalog: make.Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claim, "MAX_BATCH", 3)
    for n in range(1, 6):
        make.webhook(catalog, n=n)
    make.order(catalog)
    assert [len(claim.claim(100, Slots(100)).claims) for _ in range(3)] == [3, 2, 0]


@pytest.mark.django_db
@pytest.mark.parametrize("total", [5, 100])
def test_more_is_expected_only_if_the_limit_kept_it_out(catalog: make.Catalog, total: int) -> None:
    for n in range(1, 6):
        make.webhook(catalog, n=n)
    make.order(catalog, 12)
    fan_out.trigger(Webhook.objects.all()[0])
    now, slots = clock.now(), Slots(total)
    everything = claim.select(1000, now, slots)[0]
    for limit in range(1, len(everything) + 10):
        ids, has_more = claim.select(limit, now, slots)
        assert ids == everything[:limit]
        assert has_more >= (limit < len(everything))


@pytest.mark.django_db
@pytest.mark.parametrize("backlog", [1, 15, 16, 17, 40])
def test_oldest_of_each_webhook_is_found_behind_any_backlog(
    catalog: make.Catalog, backlog: int
) -> None:
    hooks = [make.webhook(catalog, n=n) for n in range(1, 41)]
    for n in range(backlog):
        for hook in hooks[n % 2 :: 7] if n else hooks:
            fan_out.trigger(hook)
    Delivery.objects.update(forced=False)
    oldest = {hook.pk: hook.deliveries.order_by("pk")[0].pk for hook in hooks}
    selected = claim.select(40, clock.now(), Slots(400, 200))[0]
    assert selected == sorted(oldest.values())


@pytest.mark.django_db
def test_trigger_now_ignores_limit_and_leaves_slots_for_others(catalog: make.Catalog) -> None:
    hanging, other = make.webhook(catalog), make.webhook(catalog, n=2)
    for _ in range(30):
        fan_out.trigger(hanging)
    claimed, slots = fill(Slots(20))
    assert claimed.count(hanging.pk) == slots.used == 8
    fan_out.trigger(other)
    assert fill(slots)[0] == [other.pk]


# -- with an engine


@pytest.mark.django_db(transaction=True)
def test_healthy_webhook_is_called_while_all_others_hang() -> None:
    catalog, other = make.catalog(), make.catalog("2")
    with handler(None) as hangs, handler() as served:
        for n in range(1, 4):
            make.webhook(catalog, hangs.url, n=n)
        make.order(catalog, 12)
        with running(slots=8) as [engine]:
            until(lambda: engine.in_flight == 4, "the hanging ones have all that they may have")
            make.webhook(other, served.url, n=9)
            for _ in range(3):
                make.order(other)
                engine.wake()
                served.next()
            assert engine.in_flight >= 4
            hangs.release.set()


def test_slots_fit_into_the_limit_of_open_files(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limits = iter(
        [(65536, 65536), (4096, 4096), (1024, 1024), (event_loops.resource.RLIM_INFINITY, 0)]
    )
    monkeypatch.setattr(event_loops.resource, "getrlimit", lambda which: next(limits))
    assert [event_loops.fitting_slots(4000) for _ in range(4)] == [4000, 2596, 512, 4000]
    assert len(caplog.records) == 2 and "ulimit -n" in caplog.text


@given(TOTALS, st.data(), LIMITS, st.booleans())
def test_share_is_within_limit_and_shrinks_as_slots_fill(
    total: int, data: Any, limit: int, responds: bool
) -> None:
    used = data.draw(st.integers(0, total))
    slots = Slots(total, used)
    share = slots.share(limit, responds=responds)
    assert 0 <= share <= limit
    assert share >= replace(slots, used=slots.used + 1).share(limit, responds=responds)
    # A webhook that responds has no smaller share, and at least one slot if there is any.
    assert share <= slots.share(limit, responds=True)
    assert (slots.share(limit, responds=True) > 0) == (used < total)


@given(TOTALS, LIMITS)
def test_webhook_has_its_limit_until_a_quarter_is_taken(total: int, limit: int) -> None:
    for used in range(total // 4):
        assert Slots(total, used).share(limit, responds=False) == limit


def saturated(total: int, limit: int, hanging: int, order: list[int]) -> Slots:
    """Return the slots after a number of webhooks have as many requests in flight as allowed."""
    held = [0] * hanging
    slots = Slots(total)
    while True:
        before = slots.used
        for n in order:
            while held[n] < slots.share(limit, responds=False):
                held[n] += 1
                slots = replace(slots, used=slots.used + 1)
        if slots.used == before:
            return slots


@given(TOTALS, LIMITS, st.integers(1, 400), st.randoms())
def test_hanging_webhooks_leave_slots_for_others(
    total: int, limit: int, hanging: int, dice: Any
) -> None:
    order = list(range(hanging))
    dice.shuffle(order)
    slots = saturated(total, limit, hanging, order)
    assert slots.used <= total
    reserved = total // 10
    assert slots.free >= reserved
    if reserved:
        assert slots.share(limit, responds=True) >= 1
    # Unless one request of each webhook fills the remaining slots.
    if hanging <= total - max(1, total // 2) - reserved:
        assert slots.share(limit, responds=False) >= 1


@pytest.mark.django_db
def test_delivery_with_a_due_date_is_passed_until_then(
    catalog: make.Catalog, settings: Any
) -> None:
    settings.SIM_MAX_IN_FLIGHT = 2
    hook, other = make.webhook(catalog), make.webhook(catalog, n=2)
    now, later = clock.now(), clock.now() + timedelta(minutes=5)
    # More than one part of the index has.
    Delivery.objects.bulk_create(
        Delivery(webhook=hook, created_at=now, due_at=later, losses=2) for _ in range(40)
    )
    assert claim.select(10, now)[0] == []
    [plain, last] = [Delivery.objects.create(webhook=w, created_at=now).pk for w in (hook, other)]
    assert claim.select(10, now)[0] == [plain, last]
    oldest = list(Delivery.objects.order_by("pk").values_list("pk", flat=True)[:2])
    assert claim.select(10, later)[0] == [*oldest, last]
    # One at a time after a backoff.
    Webhook.objects.filter(pk=hook.pk).update(earliest_possible_trigger=now, round=1)
    assert claim.select(10, now)[0] == [plain, last]
    assert claim.select(10, later)[0] == [oldest[0], last]
    # While slots are short.
    Webhook.objects.update(responds=True)
    assert claim.select(10, now, Slots(20, 19))[0] == [plain]
    assert claim.select(10, later, Slots(20, 19))[0] == [oldest[0]]


def test_claim_loads_what_a_payload_needs(catalog: make.Catalog) -> None:
    # A field of the settings is a column of the webhook, or what these three read.
    read = {"last_success_at", "last_failure_at", "cleared_at"}
    columns = {field.column for field in Webhook._meta.concrete_fields}
    assert {field.name for field in fields(WebhookSettings)} - read <= columns
    make.webhook(catalog)
    make.order(catalog)
    [one] = claim.claim(1).claims
    assert set(json.loads(attempt.prepare(one).claims)) == {
        *(field.name for field in fields(WebhookPayload)),
        "exp",
    }
