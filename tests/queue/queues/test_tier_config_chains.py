"""Unusual chains of configurations of two levels that wait for each other."""

from __future__ import annotations

import pytest

from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config import creation
from requests_queue.queues.tier_config.models import TierConfig, TierConfigRequest
from tests import make
from tests.queue.queues.test_tier_config import (
    TILE,
    act,
    create_catalog,
    notified,
    of,
    order,
    reseller,
    setup_body,
)

pytestmark = pytest.mark.django_db


def at(level: int) -> TierConfigRequest:
    return TierConfigRequest.objects.get(configuration__tier_level=level)


@pytest.fixture
def catalog() -> make.Catalog:
    return create_catalog()


def test_order_with_a_draft_of_the_upper_tier_starts_both_setups(catalog: make.Catalog) -> None:
    one, two = reseller(catalog, 1), reseller(catalog, 2)
    body = setup_body(catalog, one, status="draft")
    body["configuration"]["parent_account"] = {"id": two.pk}
    draft = creation.create(body, catalog.as_distributor)
    row = order(catalog, one)
    assert (draft.status, row.status) == ("draft", "tiers_setup")
    assert (of(two).status, of(one).status) == ("pending", "tiers_setup")
    act(of(two), "approve", catalog.as_vendor, **TILE)
    act(of(one), "approve", catalog.as_vendor, **TILE)
    row.refresh_from_db()
    assert row.status == "pending"


def test_order_waits_once_where_tier_1_started_without_tier_2(catalog: make.Catalog) -> None:
    one, two = reseller(catalog, 1), reseller(catalog, 2)
    first, second = order(catalog, one), order(catalog, one, two)
    assert (of(two).status, of(one).status) == ("pending", "pending")
    act(of(one), "approve", catalog.as_vendor, **TILE)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("pending", "tiers_setup")
    act(of(two), "approve", catalog.as_vendor, **TILE)
    second.refresh_from_db()
    assert second.status == "pending"


@pytest.mark.parametrize("outcome", ["approve", "fail"])
def test_a_reseller_may_be_both_tiers(catalog: make.Catalog, outcome: str) -> None:
    both = reseller(catalog, 1)
    rows = [order(catalog, both, both), order(catalog, both, both)]
    assert TierConfig.objects.count() == 2
    assert (at(2).status, at(1).status) == ("pending", "tiers_setup")
    act(at(2), outcome, catalog.as_vendor, **TILE)
    if outcome == "approve":
        assert {r.status for r in Request.objects.all()} == {"tiers_setup"}
        act(at(1), "approve", catalog.as_vendor, **TILE)
    ended = {"approve": "approved", "fail": "failed"}[outcome]
    assert (at(2).status, at(1).status) == (ended, ended)
    status = "pending" if outcome == "approve" else "failed"
    assert {r.status for r in Request.objects.all()} == {status}
    # Each of the four was notified once of each change.
    moved = [what for what in notified() if what[0] in {r.pk for r in rows}]
    assert sorted(moved) == sorted(
        (row.pk, *change)
        for row in rows
        for change in (("", "tiers_setup"), ("tiers_setup", status))
    )
