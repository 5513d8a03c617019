"""Concurrent orders and setups: no order waits forever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from requests_queue import clock, transitions
from requests_queue.errors import Refused
from requests_queue.queues.fulfillment import creation as orders
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config import creation, due
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest
from tests import make
from tests.queue.test_tier_config import TILE, of, order, reseller, setup_body, world

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], Any]) -> list[Refused]:
    """Make the calls in threads that start together; return what was refused, raise the rest."""
    barrier = threading.Barrier(len(calls))
    refused: list[Refused] = []
    broken: list[BaseException] = []

    def run(call: Callable[[], Any]) -> None:
        try:
            barrier.wait(10)
            call()
        except Refused as error:
            refused.append(error)
        except BaseException as error:
            broken.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if broken:
        raise broken[0]
    return refused


def nobody_waits_in_vain() -> None:
    for row in Request.objects.filter(status="tiers_setup").select_related("asset"):
        tiers = (row.asset.tier1_id, row.asset.tier2_id)
        open_requests = TierConfigRequest.objects.filter(
            configuration__account__in=tiers, status__in=OPEN
        )
        assert open_requests.exists(), row
    for tier in TierConfigRequest.objects.filter(status="tiers_setup"):
        above = TierConfigRequest.objects.filter(
            configuration=tier.configuration.parent_id, status__in=OPEN
        )
        assert above.exists(), tier


def buy(made: make.World, *accounts: Any) -> Callable[[], Any]:
    return lambda: order(made, *accounts)


def act(made: make.World, account: Any, name: str) -> Callable[[], Any]:
    pk = of(account).pk
    return lambda: transitions.move(TierConfigRequest, pk, name, made.as_vendor, TILE)


def test_orders_of_a_new_reseller_share_one_setup() -> None:
    made = world()
    one, two = reseller(made, 1), reseller(made, 2)
    assert at_once(*[buy(made, one, two)] * 4, *[buy(made, one)] * 4) == []
    assert (TierConfig.objects.count(), TierConfigRequest.objects.count()) == (2, 2)
    assert Request.objects.filter(status="tiers_setup").count() == 8
    nobody_waits_in_vain()


def test_orders_of_a_new_reseller_with_different_upper_tiers() -> None:
    made = world()
    one, two, three = (reseller(made, n) for n in (1, 2, 3))
    above = [buy(made, one, two), buy(made, one, three)]
    assert at_once(*above * 3, *[buy(made, one)] * 2) == []
    nobody_waits_in_vain()
    ends = [act(made, account, "approve") for account in (two, three)]
    assert at_once(*ends, *above) == []
    act(made, one, "approve")()
    assert not Request.objects.filter(status="tiers_setup").exists()


@pytest.mark.parametrize("name", ["approve", "fail"])
def test_order_concurrent_with_the_decision(name: str) -> None:
    made = world(level=1)
    for n in range(1, 4):
        account = reseller(made, n)
        order(made, account)
        assert at_once(act(made, account, name), *[buy(made, account)] * 3) == []
        assert not Request.objects.filter(status="tiers_setup").exists()


@pytest.mark.parametrize("first", ["approve", "fail"])
@pytest.mark.parametrize("second", ["approve", "fail"])
def test_both_levels_are_decided_at_once(first: str, second: str) -> None:
    made = world()
    for n in range(1, 4):
        one, two = reseller(made, n), reseller(made, 10 + n)
        order(made, one)
        order(made, one, two)
        assert at_once(act(made, one, first), act(made, two, second), buy(made, one, two)) == []
        assert not Request.objects.filter(status="tiers_setup").exists()


def test_failing_a_request_and_its_parent_concurrently() -> None:
    made = world()
    for n in range(1, 5):
        one, two = reseller(made, n), reseller(made, 10 + n)
        order(made, one, two)
        refused = at_once(act(made, one, "fail"), act(made, two, "fail"), buy(made, one, two))
        assert all("is failed" in str(error) for error in refused)
        nobody_waits_in_vain()
        assert not Request.objects.filter(status="tiers_setup").exists()


def test_approving_a_request_and_failing_its_child_concurrently() -> None:
    made = world()
    for n in range(1, 6):
        one, two = reseller(made, n), reseller(made, 10 + n)
        order(made, one, two)
        order(made, one, two)
        assert of(one).status == "tiers_setup"
        assert at_once(act(made, two, "approve"), act(made, one, "fail")) == []
        assert (of(two).status, of(one).status) == ("approved", "failed")
        assert not Request.objects.filter(status="tiers_setup").exists()


def test_deleting_a_stale_draft_concurrent_with_an_order() -> None:
    made = world()
    for n in range(1, 6):
        one, two = reseller(made, n), reseller(made, 10 + n)
        whole = setup_body(made, one, status="draft")
        whole["configuration"]["parent_account"] = {"id": two.pk}
        assert creation.create(whole, made.as_distributor).status == "draft"
        later = clock.now() + timedelta(days=365)
        refused = at_once(
            lambda: due.run(later), buy(made, one, two),  # noqa: B023
            lambda: creation.create(whole, made.as_distributor),  # noqa: B023
        )  # fmt: skip
        assert all(error.status == 409 for error in refused)
        nobody_waits_in_vain()


def test_only_one_of_many_concurrent_requests_is_created() -> None:
    made = world(level=1)
    body = setup_body(made, reseller(made, 1))
    refused = at_once(*[lambda: creation.create(body, made.as_distributor)] * 5)
    assert [error.status for error in refused] == [409] * 4
    whole = {"name": "New", "external_uid": "u-1", "contact_info": make.CONTACT}
    body = {"configuration": {**body["configuration"], "account": whole}}
    refused = at_once(*[lambda: creation.create(body, made.as_distributor)] * 2)
    assert [error.status for error in refused] == [409]
    purchase = make.purchase(made)
    purchase["asset"]["tiers"]["tier1"] = {**whole, "external_uid": "u-2"}
    calls: list[Callable[[], Any]] = [lambda: orders.create(purchase, made.as_distributor)] * 2
    assert at_once(*calls) == []
    nobody_waits_in_vain()
