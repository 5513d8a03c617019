"""Deliveries that a block of code postpones: not claimed until they are released."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from requests_queue import clock, jobs, sql
from tests import make
from tests.background import Background
from tests.engines import move_clock
from webhooks import actions
from webhooks.delivery import claims, fan_out, postponing, recording, retry, wakeup
from webhooks.delivery.in_flight import AttemptResult
from webhooks.delivery.postponing import Postponement
from webhooks.models import Delivery, Event, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The wake-ups that were sent."""
    sent: list[str] = []
    monkeypatch.setattr(wakeup, "send", lambda: sent.append("wake-up"))
    return sent


def postponed_order(catalog: make.Catalog) -> Postponement:
    with postponing.postponed() as postponement:
        make.order(catalog)
    return postponement


def back_off(catalog: make.Catalog) -> None:
    """Let the only request to the webhook fail, and its backoff end."""
    make.order(catalog)
    recording.record([AttemptResult(c, retry.FAILURE, 1) for c in claims.claim(10)])
    move_clock(400)


def expire() -> None:
    Delivery.objects.filter(state="waiting").update(lease=1.0)


def test_new_delivery_is_claimed_when_it_is_released(catalog: make.Catalog, hook: Webhook) -> None:
    postponement = postponed_order(catalog)
    assert claims.claim(10) == []
    postponing.release([postponement])
    assert len(claims.claim(10)) == 1


def test_deliveries_of_others_start_meanwhile(catalog: make.Catalog, hook: Webhook) -> None:
    postponement = postponed_order(catalog)
    make.order(catalog)
    [claimed] = claims.claim(10)
    assert {claimed.delivery_id}.isdisjoint(postponement.deliveries)


def test_postponed_delivery_is_due(catalog: make.Catalog, hook: Webhook) -> None:
    postponement = postponed_order(catalog)
    [pk] = postponement.deliveries
    assert jobs.busy(clock.now()) == {f"due:{pk}"}


def test_trigger_now_is_postponed(hook: Webhook) -> None:
    with postponing.postponed() as postponement:
        fan_out.trigger(hook)
    assert claims.claim(10) == []
    postponing.release([postponement])
    assert len(claims.claim(10)) == 1


def test_delivery_that_an_event_joins_is_postponed(catalog: make.Catalog, hook: Webhook) -> None:
    back_off(catalog)
    first, second = postponed_order(catalog), postponed_order(catalog)
    assert Event.objects.count() == 3 and first.deliveries == second.deliveries
    # In any order: it starts when nobody postpones it.
    postponing.release([second])
    assert claims.claim(10) == []
    postponing.release([first])
    assert len(claims.claim(10)) == 1


def test_delivery_into_which_a_postponed_one_is_merged_is_postponed(
    catalog: make.Catalog, hook: Webhook, settings: Any
) -> None:
    settings.SIM_EVENT_MODE = "coalesce"
    make.order(catalog)
    [first] = claims.claim(10)
    postponement = postponed_order(catalog)
    recording.record([AttemptResult(first, retry.FAILURE, 1)])
    move_clock(400)
    assert Delivery.objects.get().pk == first.delivery_id and claims.claim(10) == []
    postponing.release([postponement])
    [again] = claims.claim(10)
    assert again.delivery_id == first.delivery_id and again.number == 2


def test_joining_again_and_again_does_not_prolong_the_lease(
    catalog: make.Catalog, hook: Webhook
) -> None:
    back_off(catalog)
    kept = [postponed_order(catalog)]
    expire()
    kept.append(postponed_order(catalog))
    assert len(claims.claim(10)) == 1


def test_pending_deliveries_of_an_edited_webhook_are_postponed(
    catalog: make.Catalog, hook: Webhook, settings: Any
) -> None:
    settings.SIM_MAX_IN_FLIGHT = 2
    for _ in range(3):
        make.order(catalog)
    recording.record([AttemptResult(c, retry.FAILURE, 1) for c in claims.claim(2)])
    with postponing.postponed() as postponement:
        actions.edit(hook.pk, catalog.vendor_user, {"external_url": "http://127.0.0.1:10/"})
    # As many as may start: the others follow them.
    assert len(postponement.deliveries) == 2
    assert claims.claim(10) == []
    postponing.release([postponement])
    assert len(claims.claim(10)) == 2


def test_delivery_that_is_never_released_starts_when_its_lease_ends(
    catalog: make.Catalog, hook: Webhook
) -> None:
    postponed_order(catalog)
    assert 4 < Delivery.objects.get().lease - float(epoch()) <= postponing.LIMIT
    expire()
    [claimed] = claims.claim(10)
    # Its attempt ends as any other.
    recording.record([AttemptResult(claimed, retry.SUCCESS, 1)])
    assert Delivery.objects.get().lease is None


def epoch() -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {sql.epoch()}")
        return cursor.fetchone()[0]


def test_validator_s_delivery_is_taken_by_the_block_itself(
    catalog: make.Catalog, hook: Webhook
) -> None:
    with postponing.postponed(), transaction.atomic():
        pairs = fan_out.insert_deliveries([hook.pk], clock.now())
        assert len(claims.take([pk for pk, _ in pairs], clock.now(), generation=0)) == 1


def test_release_that_is_rolled_back_releases_nothing(catalog: make.Catalog, hook: Webhook) -> None:
    postponement = postponed_order(catalog)
    with pytest.raises(RuntimeError), transaction.atomic():
        postponing.release([postponement])
        raise RuntimeError
    assert claims.claim(10) == []
    postponing.release([postponement])
    assert len(claims.claim(10)) == 1


def test_block_that_is_rolled_back_postpones_nothing(catalog: make.Catalog, hook: Webhook) -> None:
    with pytest.raises(RuntimeError), postponing.postponed() as postponement, transaction.atomic():
        make.order(catalog)
        raise RuntimeError
    make.order(catalog)
    assert len(claims.claim(10)) == 1
    postponing.release([postponement])


def test_event_that_is_joining_keeps_the_delivery_postponed(
    catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postponing, "LOCK_WAIT", 20)
    back_off(catalog)
    first = postponed_order(catalog)
    joined, commit = threading.Event(), threading.Event()

    def join() -> Postponement:
        with postponing.postponed() as postponement, transaction.atomic():
            make.order(catalog)
            joined.set()
            assert commit.wait(20)
        return postponement

    joining = Background(join)
    assert joined.wait(20)
    releasing = Background(lambda: postponing.release([first]))
    commit.set()
    releasing.result()
    second = joining.result()
    assert claims.claim(10) == []
    postponing.release([second])
    assert len(claims.claim(10)) == 1


def test_release_waits_for_a_transaction_that_holds_a_delivery(
    catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postponing, "LOCK_WAIT", 20)
    postponement = postponed_order(catalog)
    make.order(catalog)
    held, commit = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Delivery.objects.filter(pk__in=postponement.deliveries).update(attempts=0)
            held.set()
            assert commit.wait(20)

    holding = Background(hold)
    assert held.wait(20)
    releasing = Background(lambda: postponing.release([postponement]))
    assert not releasing.ended.wait(0.2)
    commit.set()
    releasing.result()
    holding.result()
    assert len(claims.claim(10)) == 2


def test_engine_is_woken_after_the_release_instead_of_the_commit(
    catalog: make.Catalog, hook: Webhook, sent: list[str]
) -> None:
    postponement = postponed_order(catalog)
    assert postponement.wakes and not sent
    make.order(catalog)
    assert sent == ["wake-up"]


def test_nothing_is_postponed_outside_of_a_block(
    catalog: make.Catalog, hook: Webhook, sent: list[str]
) -> None:
    with postponing.postponed() as postponement:
        pass
    make.order(catalog)
    actions.edit(hook.pk, catalog.vendor_user, {"external_url": "http://127.0.0.1:10/"})
    assert Delivery.objects.get().lease is None
    assert not postponement.wakes and not postponement.deliveries and len(sent) == 2
