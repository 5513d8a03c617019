"""Concurrent orders and setups: no order waits forever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from requests_queue import clock
from requests_queue.catalog import tiers
from requests_queue.catalog.models import TierAccount
from requests_queue.errors import Refused
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment import creation as orders
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config import creation, due
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest
from tests import background, make
from tests.queue.queues.test_tier_config import (
    TILE,
    create_catalog,
    of,
    order,
    reseller,
    setup_body,
)

pytestmark = pytest.mark.django_db(transaction=True)


def concurrently(*calls: Callable[[], Any]) -> list[Refused]:
    """Make calls at the same time; return the refusals, raise other errors."""
    return [result for result in background.concurrently(*calls) if isinstance(result, Refused)]


def check_waiting() -> None:
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


def buy(catalog: make.Catalog, *accounts: Any) -> Callable[[], Any]:
    return lambda: order(catalog, *accounts)


def act(catalog: make.Catalog, account: Any, name: str) -> Callable[[], Any]:
    pk = of(account).pk
    return lambda: transitions.move(TierConfigRequest, pk, name, catalog.as_vendor, TILE)


@pytest.fixture
def catalog() -> make.Catalog:
    return create_catalog()


def test_orders_of_a_new_reseller_share_one_setup(catalog: make.Catalog) -> None:
    one, two = reseller(catalog, 1), reseller(catalog, 2)
    assert concurrently(*[buy(catalog, one, two)] * 4, *[buy(catalog, one)] * 4) == []
    assert (TierConfig.objects.count(), TierConfigRequest.objects.count()) == (2, 2)
    assert Request.objects.filter(status="tiers_setup").count() == 8
    check_waiting()


def test_orders_of_a_new_reseller_with_different_upper_tiers(catalog: make.Catalog) -> None:
    one, two, three = (reseller(catalog, n) for n in (1, 2, 3))
    above = [buy(catalog, one, two), buy(catalog, one, three)]
    assert concurrently(*above * 3, *[buy(catalog, one)] * 2) == []
    check_waiting()
    ends = [act(catalog, account, "approve") for account in (two, three)]
    assert concurrently(*ends, *above) == []
    act(catalog, one, "approve")()
    assert not Request.objects.filter(status="tiers_setup").exists()


@pytest.mark.parametrize("name", ["approve", "fail"])
def test_order_concurrent_with_the_decision(name: str) -> None:
    catalog = create_catalog(level=1)
    for n in range(1, 4):
        account = reseller(catalog, n)
        order(catalog, account)
        assert concurrently(act(catalog, account, name), *[buy(catalog, account)] * 3) == []
        assert not Request.objects.filter(status="tiers_setup").exists()


@pytest.mark.parametrize("first", ["approve", "fail"])
@pytest.mark.parametrize("second", ["approve", "fail"])
def test_both_levels_are_decided_at_once(catalog: make.Catalog, first: str, second: str) -> None:
    for n in range(1, 4):
        one, two = reseller(catalog, n), reseller(catalog, 10 + n)
        order(catalog, one)
        order(catalog, one, two)
        assert (
            concurrently(
                act(catalog, one, first), act(catalog, two, second), buy(catalog, one, two)
            )
            == []
        )
        assert not Request.objects.filter(status="tiers_setup").exists()


def test_failing_a_request_and_its_parent_concurrently(catalog: make.Catalog) -> None:
    for n in range(1, 5):
        one, two = reseller(catalog, n), reseller(catalog, 10 + n)
        order(catalog, one, two)
        refused = concurrently(
            act(catalog, one, "fail"), act(catalog, two, "fail"), buy(catalog, one, two)
        )
        assert all("is failed" in str(error) for error in refused)
        check_waiting()
        assert not Request.objects.filter(status="tiers_setup").exists()


def test_approving_a_request_and_failing_its_child_concurrently(catalog: make.Catalog) -> None:
    for n in range(1, 6):
        one, two = reseller(catalog, n), reseller(catalog, 10 + n)
        order(catalog, one, two)
        order(catalog, one, two)
        assert of(one).status == "tiers_setup"
        assert concurrently(act(catalog, two, "approve"), act(catalog, one, "fail")) == []
        assert (of(two).status, of(one).status) == ("approved", "failed")
        assert not Request.objects.filter(status="tiers_setup").exists()


def test_deleting_a_stale_draft_concurrent_with_an_order(catalog: make.Catalog) -> None:
    for n in range(1, 6):
        one, two = reseller(catalog, n), reseller(catalog, 10 + n)
        whole = setup_body(catalog, one, status="draft")
        whole["configuration"]["parent_account"] = {"id": two.pk}
        assert creation.create(whole, catalog.as_distributor).status == "draft"
        later = clock.now() + timedelta(days=365)
        refused = concurrently(
            lambda: due.run(later),  # noqa: B023
            buy(catalog, one, two),
            lambda: creation.create(whole, catalog.as_distributor),  # noqa: B023
        )
        assert all(error.status == 409 for error in refused)
        check_waiting()


def test_only_one_of_many_concurrent_requests_is_created() -> None:
    catalog = create_catalog(level=1)
    body = setup_body(catalog, reseller(catalog, 1))
    refused = concurrently(*[lambda: creation.create(body, catalog.as_distributor)] * 5)
    assert [error.status for error in refused] == [409] * 4
    whole = {"name": "New", "external_uid": "u-1", "contact_info": make.CONTACT}
    body = {"configuration": {**body["configuration"], "account": whole}}
    refused = concurrently(*[lambda: creation.create(body, catalog.as_distributor)] * 2)
    assert [error.status for error in refused] == [409]
    purchase = make.purchase(catalog)
    purchase["asset"]["tiers"]["tier1"] = {**whole, "external_uid": "u-2"}
    calls: list[Callable[[], Any]] = [lambda: orders.create(purchase, catalog.as_distributor)] * 2
    assert concurrently(*calls) == []
    check_waiting()


def test_reseller_created_since_the_lookup_is_not_a_decommissioned_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catalog = create_catalog(level=1)
    account = reseller(catalog, 1)
    TierAccount.objects.filter(pk=account.pk).update(external_uid="u-1")
    whole = {"name": "New", "external_uid": "u-1", "contact_info": make.CONTACT}
    body = setup_body(catalog, account)
    body = {"configuration": {**body["configuration"], "account": whole}}
    # The first lookup is made before the account is there.
    lookups, known = iter([None]), tiers._known
    monkeypatch.setattr(tiers, "_known", lambda *args: next(lookups, known(*args)))
    assert creation.create(body, catalog.as_distributor).configuration.account == account
