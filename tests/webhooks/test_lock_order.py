"""Transactions with several changes lock their webhooks once, in one order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import IntegrityError, connection, transaction

from requests_queue.queues import transitions
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config.models import TierConfigRequest
from tests import make
from tests.background import Background, concurrently
from tests.queue import builders
from tests.queue.platforms import Platform
from tests.queue.tables import PATHS, TIER_CONFIG
from webhooks import actions, webhook_health
from webhooks.delivery import claim, fan_out
from webhooks.models import Delivery, Event, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


def touch(pk: str) -> None:
    """Report a change of a request without a change of status."""
    row = Request.objects.get(pk=pk)
    transitions.emit_unchanged(row, row.created)


@pytest.mark.parametrize("mode", ["each", "coalesce"])
def test_changes_in_opposite_order_do_not_deadlock(
    mode: str, settings: pytest.FixtureRequest
) -> None:
    settings.SIM_EVENT_MODE = mode  # type: ignore[attr-defined]
    worlds = make.catalog("1"), make.catalog("2")
    hooks = [make.webhook(catalog, n=n) for n, catalog in enumerate(worlds, 1)]
    requests = [[make.order(catalog).pk for catalog in worlds] for _ in range(2)]
    both = threading.Barrier(2)

    def change(first: str, second: str) -> None:
        with transitions.atomic():
            touch(first)
            if connection.vendor == "postgresql":
                # SQLite has one writer at a time.
                both.wait(10)
            touch(second)

    concurrently(lambda: change(*requests[0]), lambda: change(*reversed(requests[1])))
    assert [Event.objects.filter(webhook=hook).count() for hook in hooks] == [4, 4]
    assert webhook_health.counter_discrepancies() == []


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[set[str]]]:
    """Collect the object classes of the webhooks of each lock."""
    locked: list[set[str]] = []
    count = fan_out._count

    def counted(events: list[fan_out.RecordedEvent]) -> None:
        ids = {each.webhook_id for each in events}
        classes = Webhook.objects.filter(pk__in=ids).values_list("object_class", flat=True)
        locked.append(set(classes))
        count(events)

    monkeypatch.setattr(fan_out, "_count", counted)
    yield locked


def test_order_and_its_set_up_requests_lock_once(locks: list[set[str]]) -> None:
    platform = Platform()
    builders.set_up(platform)
    body = builders.order(platform, builders.reseller("below"))
    body["asset"]["tiers"]["tier2"] = builders.reseller("above")
    locks.clear()
    platform.post("D", "/requests", body)
    assert locks == [{"fulfillment_request", "tier_config_request"}]
    # Three changes again: two set-ups and the order that depends on them.
    locks.clear()
    above = TierConfigRequest.objects.get(status="pending").pk
    platform.post("V", f"{PATHS[TIER_CONFIG]}/{above}/fail", {"reason": "No"})
    assert locks == [{"fulfillment_request", "tier_config_request"}]


def test_changes_of_a_savepoint_that_is_rolled_back_are_not_recorded(
    catalog: make.Catalog, hook: Webhook
) -> None:
    saved, dropped = make.order(catalog).pk, make.order(catalog).pk
    Event.objects.all().delete()
    with transitions.atomic():
        touch(saved)
        with pytest.raises(IntegrityError), transitions.atomic():
            touch(dropped)
            raise IntegrityError
        touch(saved)
    assert list(Event.objects.values_list("object_id", flat=True)) == [saved, saved]
    with pytest.raises(IntegrityError), transitions.atomic():
        touch(saved)
        raise IntegrityError
    assert Event.objects.count() == 2
    # Nothing remains for the next transaction.
    make.order(catalog)
    assert Event.objects.count() == 3


def test_events_of_one_transaction_are_counted_by_webhook(catalog: make.Catalog) -> None:
    one, two = make.webhook(catalog), make.webhook(catalog, n=2, account=catalog.provider)
    first, second = make.order(catalog).pk, make.order(catalog).pk
    Webhook.objects.filter(pk=two.pk).update(active=False)
    with transitions.atomic():
        for pk in (first, second, first):
            touch(pk)
    assert [Webhook.objects.get(pk=hook.pk).events for hook in (one, two)] == [5, 2]
    assert webhook_health.counter_discrepancies() == []


def test_claims_and_deletions_during_a_transaction_do_not_wait(catalog: make.Catalog) -> None:
    if connection.vendor != "postgresql":
        return
    hook, other = make.webhook(catalog), make.webhook(catalog, n=2)
    pk = make.order(catalog).pk
    with transaction.atomic():
        list(Webhook.objects.select_for_update().filter(pk=hook.pk))
        list(Delivery.objects.select_for_update().filter(webhook=hook))
        [claimed] = Background(lambda: claim.claim(10).claims).result()
        assert claimed.webhook.id == other.pk
    Background(lambda: actions.delete(hook.pk)).result()
    touch(pk)
    assert Webhook.objects.get().events == 2
