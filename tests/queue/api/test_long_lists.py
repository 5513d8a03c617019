"""Queries with thousands of values: one comparison for each type of column."""

from __future__ import annotations

import pytest

from tests.api import Caller, ids

pytestmark = pytest.mark.django_db
MANY = 3000


@pytest.mark.parametrize("name", ["id", "asset.id", "asset.product.id", "assignee.id"])
def test_long_in_lists_are_accepted(vendor: Caller, name: str) -> None:
    first, *_ = (
        row for row in vendor.get("/requests?ordering(id)").json if row["assignee"] and row["asset"]
    )
    whole, *path = name.split(".")
    value = first[whole]
    for key in path:
        value = value[key]
    absent = [f"XX-{number:04d}" for number in range(MANY)]
    one = ids(vendor, f"/requests?eq({name},{value})")
    others = ids(vendor, f"/requests?ne({name},{value})&limit=1000")
    listed = ",".join([*absent, value])
    assert one and ids(vendor, f"/requests?in({name},({listed}))") == one
    assert others and ids(vendor, f"/requests?out({name},({listed}))&limit=1000") == others
    either = "|".join(f"eq({name},{each})" for each in (*absent[:50], value))
    assert ids(vendor, f"/requests?({either})") == one


def test_empty_values_in_a_list_match(vendor: Caller) -> None:
    without = ids(vendor, "/requests?eq(assignee.id,null())")
    someone = next(row for row in vendor.get("/requests").json if row["assignee"])
    name = someone["assignee"]["id"]
    with_one = ids(vendor, f"/requests?eq(assignee.id,{name})")
    pks = ids(vendor, f"/requests?in(assignee.id,(null(),{name},US-0))&limit=1000")
    assert sorted(pks) == sorted([*without, *with_one])
    assert without and with_one
