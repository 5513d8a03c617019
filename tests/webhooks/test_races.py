"""Races between transactions: concurrent events, claims, edits and deletions."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from requests_queue import clock
from requests_queue.catalog.models import ApiToken, Asset
from requests_queue.errors import ActionNotAllowed, Missing, Refused
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment import creation, lookups
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.background import Background, concurrently
from tests.engines import lost_results, move_clock, running, settled, until
from tests.handlers import handler
from tests.webhooks.claimed import expire_leases, failing
from webhooks import actions, cleanup, states
from webhooks.delivery import claim, fan_out, record
from webhooks.delivery.attempt import AttemptResult
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]


def test_claim_skips_delivery_that_event_is_joining(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(catalog, waiting=1)
    joined, commit = threading.Event(), threading.Event()

    def hold() -> None:
        joined.set()
        commit.wait(15)

    monkeypatch.setattr(fan_out.wakeup, "after_commit", hold)
    event = Background(lambda: make.order(catalog))
    assert joined.wait(15)
    during = Background(lambda: claim.claim(10).claims)
    if connection.vendor == "postgresql":
        assert during.result() == []
    else:
        assert not during.ended.wait(0.3), "claimed while an event was joining"
    commit.set()
    event.result()
    [probe] = during.result() or claim.claim(10).claims
    assert Event.objects.filter(delivery=probe.delivery_id).count() == 2
    assert all(at <= probe.started_at for at in Event.objects.values_list("at", flat=True))


def test_lost_attempt_found_by_two_workers_is_recorded_once(
    catalog: make.Catalog, hook: Webhook
) -> None:
    make.order(catalog, 3)
    claim.claim(10)
    expire_leases()
    counts = concurrently(*[lambda: record.record(lost_results())] * 2)
    second, first = sorted(counts, key=lambda one: one.count("settled"))
    # The second finds none, or three that the first has already recorded.
    assert first == ["settled"] * 3 and set(second) <= {"dropped"}
    assert Attempt.objects.count() == 3


def test_failure_committed_after_selection_prevents_claim(
    catalog: make.Catalog,
    hook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make.order(catalog)
    [failing] = claim.claim(10).claims
    make.order(catalog)
    take = claim.take

    def fail() -> Any:
        return record.record([AttemptResult(failing, states.FAILURE, 1)])

    def take_after_the_failure(*args: Any, **more: Any) -> Any:
        # SQLite allows no other writer during a claim.
        if connection.vendor == "postgresql":
            Background(fail).result()
        return take(*args, **more)

    monkeypatch.setattr(claim, "take", take_after_the_failure)
    if connection.vendor != "postgresql":
        fail()
    assert claim.claim(10).claims == []
    hook.refresh_from_db()
    assert hook.round == 1
    assert set(Delivery.objects.values_list("state", flat=True)) == {"waiting"}


@pytest.fixture
def both_have_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two purchases have searched for a duplicate before either writes; SQLite allows only one."""
    if connection.vendor != "postgresql":
        return
    looked, by_uid = threading.Barrier(2), lookups.by_uid
    turns = iter(range(2))

    def look_together(*args: Any) -> Any:
        row = by_uid(*args)
        if next(turns, None) is not None:
            looked.wait(10)
        return row

    monkeypatch.setattr(lookups, "by_uid", look_together)


def buy(catalog: make.Catalog, asset_uid: str, customer_uid: str = "") -> Any:
    body = make.purchase(catalog, asset={"external_uid": asset_uid})
    body["asset"]["tiers"]["customer"]["external_uid"] = customer_uid
    client = APIClient()
    client.force_authenticate(catalog.provider_user, ApiToken())
    return client.post("/public/v1/requests", body, format="json")


def test_concurrent_identical_purchases(
    catalog: make.Catalog, hook: Webhook, both_have_looked: None
) -> None:
    created = concurrently(lambda: buy(catalog, "uid-1"), lambda: buy(catalog, "uid-1"))
    responses = {response.status_code: response.json() for response in created}
    assert set(responses) == {201, 409}
    assert responses[409]["params"]["request_id"] == responses[201]["id"]
    assert Request.objects.count() == Asset.objects.count() == 1
    assert Event.objects.count() == 1


def test_concurrent_orders_of_same_new_customer(
    catalog: make.Catalog, both_have_looked: None
) -> None:
    responses = concurrently(
        *[lambda uid=uid: buy(catalog, uid, "customer-1") for uid in ("a", "b")]
    )
    assert [response.status_code for response in responses] == [201, 201]
    first, second = Asset.objects.all()
    assert first.customer == second.customer


def test_concurrent_changes_of_one_subscription(catalog: make.Catalog) -> None:
    asset = make.asset(catalog)
    body = {"type": "cancel", "asset": {"id": asset.pk}}
    results = concurrently(*[lambda: creation.create(body, catalog.as_distributor)] * 2)
    assert sorted(type(one).__name__ for one in results) == ["Conflict", "Request"]


def test_one_of_two_concurrent_moves_wins(catalog: make.Catalog, hook: Webhook) -> None:
    for _ in range(5):
        row = creation.create(make.purchase(catalog), catalog.as_distributor)
        before = Event.objects.count()
        results = concurrently(
            lambda pk=row.pk: transitions.move(Request, pk, "approve", catalog.as_vendor, {}),
            lambda pk=row.pk: transitions.move(
                Request, pk, "fail", catalog.as_vendor, {"reason": "No"}
            ),
        )
        [loser] = [one for one in results if isinstance(one, ActionNotAllowed)]
        [winner] = [one for one in results if isinstance(one, Request)]
        row.refresh_from_db()
        row.asset.refresh_from_db()
        assert row.status == winner.status
        assert row.asset.status == {"approved": "active", "failed": "terminated"}[row.status]
        assert loser.status == 400 and row.pk in str(loser)
        assert Event.objects.count() == before + 1


def paused(monkeypatch: pytest.MonkeyPatch, where: str, other: Callable[[], Any]) -> list[Any]:
    """Run `other` while the next event is before a function of `fan_out`, or after its
    last statement (`after_commit`): to its end, or until it waits for the event."""
    ran: list[Background] = []
    owner: Any = fan_out.wakeup if where == "after_commit" else fan_out
    real = getattr(owner, where)

    def pause(*args: Any) -> Any:
        if not ran:
            ran.append(Background(other))
            ran[0].ended.wait(0.4)
        return real(*args)

    monkeypatch.setattr(owner, where, pause)
    return ran


BOTH = pytest.mark.parametrize("where", ["insert_deliveries", "_count", "after_commit"])


@BOTH
@pytest.mark.parametrize("backing_off", [False, True])
def test_disabled_while_an_event_is_recorded(
    catalog: make.Catalog, where: str, backing_off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = failing(catalog, waiting=1) if backing_off else make.webhook(catalog)
    ran = paused(
        monkeypatch,
        where,
        lambda: actions.edit(hook.pk, catalog.vendor_user, {"active": False}),
    )
    make.order(catalog)
    ran[0].result()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"cancelled"}


@BOTH
@pytest.mark.parametrize("backing_off", [False, True])
def test_deleted_while_an_event_is_recorded(
    catalog: make.Catalog, where: str, backing_off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = failing(catalog, waiting=1) if backing_off else make.webhook(catalog)
    other = make.webhook(catalog, n=2)
    ran = paused(monkeypatch, where, lambda: actions.delete(hook.pk))
    make.order(catalog)
    ran[0].result()
    assert list(Webhook.objects.all()) == [other]
    # The rows that the event had locked were skipped.
    cleanup.remove_deleted()
    assert set(Event.objects.values_list("webhook", flat=True)) == {other.pk}
    assert set(Delivery.objects.values_list("webhook", flat=True)) == {other.pk}


def test_removed_event_keeps_equal_events_of_same_time(
    catalog: make.Catalog,
    hook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change = transitions.Change(
        object_class="fulfillment_request",
        object_id="PR-1",
        product_id=catalog.product.pk,
        account_ids=(catalog.vendor.pk,),
        status_from="pending",
        status_to="inquiring",
        at=clock.now(),
    )
    with transaction.atomic():
        fan_out.record(change)
    count = fan_out._count

    def disabled_before(*args: Any) -> None:
        Webhook.objects.update(active=False)
        count(*args)

    monkeypatch.setattr(fan_out, "_count", disabled_before)
    # While platform time is frozen, two equal changes may have the same time.
    with transaction.atomic():
        fan_out.record(change)
    hook.refresh_from_db()
    assert hook.events == Event.objects.count() == 1
    assert list(Delivery.objects.order_by("pk").values_list("state", flat=True)) == [
        "waiting",
        "cancelled",
    ]


def test_coalescing_skips_delivery_being_claimed(
    catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    make.order(catalog, 3)
    settings.SIM_EVENT_MODE = "coalesce"
    first, *_ = Delivery.objects.order_by("pk")
    started: list[Background] = []

    real = Event.objects.filter

    def filter_(*args: Any, **kwargs: Any) -> Any:
        if "delivery" in kwargs and not started:
            started.append(Background(lambda: claim.claim(10).claims))
            started[0].ended.wait(0.4)
        return real(*args, **kwargs)

    monkeypatch.setattr(fan_out.Event.objects, "filter", filter_)
    with transaction.atomic():
        list(Webhook.objects.select_for_update())
        fan_out.coalesce([first.pk])
    monkeypatch.undo()
    # The claim skipped the locked rows; on SQLite it waited. Either way one is left.
    claimed = started[0].result() or claim.claim(10).claims
    assert [c.delivery_id for c in claimed] == [first.pk]
    assert (
        record.record([AttemptResult(c, states.SUCCESS, 1) for c in claimed]).count("settled") == 1
    )
    assert settled()
    assert set(Event.objects.values_list("delivery__state", flat=True)) == {"delivered"}
    assert Event.objects.count() == 3


def test_concurrent_mix_of_all_operations(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(7)
    with handler(lambda request: dice.choice([200, 200, 500])) as served:
        hooks = [make.webhook(catalog, served.url, n=n) for n in range(1, 5)]

        def buy() -> None:
            for _ in range(12):
                row = creation.create(make.purchase(catalog), catalog.as_distributor)
                transitions.move(Request, row.pk, "approve", catalog.as_vendor, {})

        def meddle(hook: Webhook) -> None:
            for n in range(8):
                actions.edit(hook.pk, catalog.vendor_user, {"active": n % 2 == 1, "data": {"n": n}})
                move_clock(200)
                try:
                    fan_out.trigger(hook)
                except Refused:
                    assert n % 2 == 0

        def drop(hook: Webhook) -> None:
            for _ in range(4):
                fan_out.trigger(hook)
            actions.delete(hook.pk)
            with pytest.raises(Missing):
                actions.edit(hook.pk, catalog.vendor_user, {"active": False})

        with running(2) as engines:
            concurrently(buy, buy, lambda: meddle(hooks[0]), lambda: drop(hooks[1]))
            served.respond = lambda request: 200
            for hook in Webhook.objects.all():
                actions.edit(hook.pk, catalog.vendor_user, {"headers": {"X-Now": "better"}})
            for engine in engines:
                engine.wake()
            cleanup.remove_deleted()
            until(settled, "all delivered")
    for hook in hooks[2:]:
        hook.refresh_from_db()
        assert hook.events == 48
        assert not hook.deliveries.exclude(state="delivered").exists()
