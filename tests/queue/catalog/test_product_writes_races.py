"""Concurrent writes of vendors to the same products."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from requests_queue.catalog.models import (
    Configuration,
    Contract,
    Item,
    Parameter,
    Product,
)
from tests import background, make
from tests.api import Caller, caller

pytestmark = pytest.mark.django_db(transaction=True)

TOGETHER = 5


def concurrently(call: Callable[[Caller], Any], vendor: Caller) -> list[int]:
    """Make a call from several clients at the same time; return the sorted statuses."""
    works = [partial(call, Caller(vendor.key)) for _ in range(TOGETHER)]
    return sorted(int(response.status) for response in background.concurrently(*works))


def test_concurrent_creations_use_a_name_once(catalog: make.Catalog) -> None:
    vendor, one = caller(catalog.vendor), f"/products/{catalog.product.id}"
    item = {"name": "A", "mpn": "A", "type": "ppu", "unit": {"id": "gb"}}
    for kind, body in (
        ("items", item),
        ("parameters", {"name": "a", "title": "A", "type": "text"}),
        ("actions", {"action": "a", "name": "A", "scope": "asset"}),
    ):
        responses = concurrently(lambda c, k=kind, b=body: c.post(f"{one}/{k}", b), vendor)  # type: ignore[misc]
        assert responses == [201] + [400] * (TOGETHER - 1), kind


def test_concurrent_versions_get_different_numbers(catalog: make.Catalog) -> None:
    vendor, path = caller(catalog.vendor), f"/products/{catalog.product.id}/versions"
    assert concurrently(lambda c: c.post(path, {}), vendor) == [201] * TOGETHER
    # The first was stored before, as the product was published without one.
    assert [row["version"] for row in vendor.get(path).json] == [6, 5, 4, 3, 2, 1]


def test_concurrent_reads_store_a_version_once(catalog: make.Catalog) -> None:
    vendor, path = caller(catalog.vendor), f"/products/{catalog.product.id}/versions"
    assert concurrently(lambda c: c.get(path), vendor) == [200] * TOGETHER
    assert [row["version"] for row in vendor.get(path).json] == [1]


def test_concurrent_items_get_different_ids(catalog: make.Catalog) -> None:
    names = iter("abcdefghij")
    responses = concurrently(
        lambda c: c.post(
            f"/products/{catalog.product.id}/items",
            {"name": (n := next(names)), "mpn": n, "type": "ppu", "unit": {"id": "gb"}},
        ),
        caller(catalog.vendor),
    )
    assert responses == [201] * TOGETHER
    assert Item.objects.count() == TOGETHER + 1


def test_concurrent_writes_store_a_value_once(catalog: make.Catalog) -> None:
    parameter = make.parameter(catalog, "url", scope="product", phase="configuration")
    body = {"parameter": {"id": parameter.name}, "value": "x"}
    path = f"/products/{catalog.product.id}/configurations"
    assert concurrently(lambda c: c.post(path, body), caller(catalog.vendor)) == [201] * TOGETHER
    assert Configuration.objects.count() == 1


def test_concurrent_deletes_succeed_once(catalog: make.Catalog) -> None:
    vendor = caller(catalog.vendor)
    make.parameter(catalog, "gone")
    path = f"/products/{catalog.product.id}/parameters/gone"
    assert concurrently(lambda c: c.delete(path), vendor) == [204] + [404] * (TOGETHER - 1)
    assert not Parameter.objects.filter(name="gone").exists()
    draft = Product.objects.create(
        id="PRD-000-000-009",
        name="Draft",
        owner=catalog.vendor,
        status="draft",
        created=make.AT,
        updated=make.AT,
    )
    responses = concurrently(lambda c: c.delete(f"/products/{draft.pk}"), vendor)
    assert responses == [204] + [404] * (TOGETHER - 1)


def test_concurrent_contract_actions_succeed_once(catalog: make.Catalog) -> None:
    Contract.objects.update(status="enrolling")
    path = f"/contracts/{Contract.objects.get().pk}/enroll"
    responses = concurrently(lambda c: c.post(path), caller(catalog.vendor))
    assert responses == [200] + [400] * (TOGETHER - 1)
