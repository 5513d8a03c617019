"""Concurrent writes of the same unique value: only one succeeds."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue.catalog.models import Asset
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config.models import TierConfig
from tests import make
from tests.api import caller
from tests.queue.queues.test_tier_account_races import concurrently

pytestmark = pytest.mark.django_db(transaction=True)

TOGETHER = 4


@pytest.fixture
def catalog(catalog: make.Catalog) -> make.Catalog:
    for name, phase in (("name", "ordering"), ("alias", "ordering"), ("tenant", "fulfillment")):
        make.parameter(catalog, name, phase=phase, constraints={"unique": True})
    return catalog


def statuses(responses: list[Any]) -> list[int]:
    return sorted(response.status for response in responses)


def body(catalog: make.Catalog, *pairs: tuple[str, str]) -> dict[str, Any]:
    params = [{"id": name, "value": value} for name, value in pairs]
    return make.purchase(catalog, asset={"params": params})


def pending(catalog: make.Catalog) -> list[str]:
    for _ in range(TOGETHER):
        assert caller(catalog.provider).post("/requests", make.purchase(catalog)).status == 201
    return list(Request.objects.values_list("pk", flat=True))


def test_only_one_of_several_orders_gets_the_value(catalog: make.Catalog) -> None:
    order = body(catalog, ("name", "acme"))
    responses = concurrently(
        caller(catalog.provider), *[lambda c: c.post("/requests", order)] * TOGETHER
    )
    assert statuses(responses) == [201, *[400] * (TOGETHER - 1)]
    assert Asset.objects.count() == Request.objects.count() == 1
    assert all("Parameter name" in a.json["errors"][0] for a in responses if a.status == 400)


def test_two_values_in_either_order_do_not_deadlock(catalog: make.Catalog) -> None:
    orders = [
        body(catalog, ("name", "a"), ("alias", "b")),
        body(catalog, ("alias", "b"), ("name", "a")),
        body(catalog, ("name", "b"), ("alias", "b")),
        body(catalog, ("name", "a"), ("alias", "a")),
    ]
    calls = [lambda c, order=order: c.post("/requests", order) for order in orders]  # type: ignore[misc]
    responses = concurrently(caller(catalog.provider), *calls)
    assert set(statuses(responses)) <= {201, 400} and 201 in statuses(responses)
    held = [p["value"] for a in Asset.objects.all() for p in a.params if p["id"] == "name"]
    assert len(held) == len(set(held))


def test_only_one_of_several_edits_gets_the_value(catalog: make.Catalog) -> None:
    body = {"asset": {"params": [{"id": "tenant", "value": "t-1"}]}}
    paths = [f"/requests/{pk}" for pk in pending(catalog)]
    vendor = caller(catalog.vendor)
    responses = concurrently(vendor, *[lambda c, p=p: c.put(p, body) for p in paths])  # type: ignore[misc]
    assert statuses(responses) == [200, *[400] * (TOGETHER - 1)]
    # Concurrent approvals.
    responses = concurrently(vendor, *[lambda c, p=p: c.post(f"{p}/approve") for p in paths])  # type: ignore[misc]
    assert statuses(responses) == [200] * TOGETHER
    tenants = [p["value"] for a in Asset.objects.all() for p in a.params if p["id"] == "tenant"]
    assert sorted(tenants) == ["", "", "", "t-1"]


def test_concurrent_approvals_do_not_share_a_value(catalog: make.Catalog) -> None:
    pks = pending(catalog)
    for row in Request.objects.all():
        # An older version may have stored duplicates.
        row.params[0]["value"] = "same"
        row.save()
    vendor = caller(catalog.vendor)
    responses = concurrently(
        vendor, *[lambda c, pk=pk: c.post(f"/requests/{pk}/approve") for pk in pks]
    )  # type: ignore[misc]
    assert statuses(responses) == [400] * TOGETHER
    for pk in pks[1:]:
        vendor.post(f"/requests/{pk}/fail", {"reason": "No"})
    assert vendor.post(f"/requests/{pks[0]}/approve").status == 200


def test_concurrent_order_and_edit_do_not_share_a_value(catalog: make.Catalog) -> None:
    [first, *_] = pending(catalog)
    distributor = caller(catalog.provider)
    order = body(catalog, ("name", "acme"))
    responses = concurrently(
        distributor,
        lambda c: c.post("/requests", order),
        lambda c: c.put(f"/requests/{first}", {"asset": {"params": order["asset"]["params"]}}),
    )
    assert [a.status for a in responses].count(400) == 1


def test_only_one_of_several_tier_configurations_gets_the_value() -> None:
    catalog = make.catalog(capabilities={"tiers": {"configs": {"configs": True, "level": 1}}})
    make.parameter(catalog, "partner", scope="tier1", constraints={"unique": True})

    def setup(n: int) -> dict[str, Any]:
        account = {"name": "R", "external_id": f"r-{n}", "contact_info": make.CONTACT}
        configuration = {
            "product": {"id": catalog.product.pk},
            "tier_level": 1,
            "account": account,
        }
        params = [{"id": "partner", "value": "p-1"}]
        return {"type": "setup", "configuration": configuration, "params": params}

    calls = [lambda c, n=n: c.post("/tier/config-requests", setup(n)) for n in range(TOGETHER)]  # type: ignore[misc]
    responses = concurrently(caller(catalog.provider), *calls)
    assert statuses(responses) == [201, *[400] * (TOGETHER - 1)]
    assert TierConfig.objects.count() == 1
