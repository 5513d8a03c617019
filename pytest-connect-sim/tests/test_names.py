"""Items and parameters by their names."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_connect_sim import UnknownName
from pytest_connect_sim import names as lookups

ITEMS = [
    {"id": "PRD-1-0001", "local_id": "SKU_A", "mpn": "mailbox", "name": "Mailbox"},
    {"id": "PRD-1-0002", "local_id": "mailbox", "mpn": "traffic", "name": "Extra"},
    {"id": "PRD-1-0003", "local_id": "SKU_C", "mpn": "seat", "name": "Extra"},
]
PARAMS = [
    {"id": "PRM-1", "name": "domain", "title": "Domain"},
    {"id": "PRM-2", "name": "options", "title": "Options"},
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PRD-1-0001", "PRD-1-0001"),
        ("SKU_C", "PRD-1-0003"),
        ("traffic", "PRD-1-0002"),
        ("Mailbox", "PRD-1-0001"),
        # A local id wins over an MPN, as in Connect's orders.
        ("mailbox", "PRD-1-0002"),
    ],
)
def test_item_is_found_by_any_of_its_names(name: str, expected: str) -> None:
    assert lookups.item(ITEMS, name, "PRD-1")["id"] == expected


def test_unknown_item_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName) as error:
        lookups.item(ITEMS, "mailbx", "PRD-1")
    assert str(error.value) == (
        "There is no 'mailbx' among the items of PRD-1. Known: mailbox, traffic, seat."
    )


def test_ambiguous_name_lists_the_ids() -> None:
    with pytest.raises(UnknownName, match="several of the items of PRD-1: PRD-1-0002, PRD-1-0003"):
        lookups.item(ITEMS, "Extra", "PRD-1")


def test_order_has_one_of_each_item_by_default() -> None:
    assert lookups.ordered(ITEMS, None, "PRD-1") == [
        {"id": item["id"], "quantity": 1} for item in ITEMS
    ]


def test_order_has_the_quantities_that_are_given() -> None:
    rows = lookups.ordered(ITEMS, {"seat": 5, "traffic": "2.5"}, "PRD-1")
    assert rows == [
        {"id": "PRD-1-0003", "quantity": 5},
        {"id": "PRD-1-0002", "quantity": "2.5"},
    ]


def test_item_that_is_named_twice_is_refused() -> None:
    with pytest.raises(UnknownName, match="PRD-1-0003 is named twice"):
        lookups.ordered(ITEMS, {"seat": 5, "SKU_C": 1}, "PRD-1")


@pytest.mark.parametrize("items", [["mailbox"], "mailbox", 5])
def test_other_types_than_a_mapping_are_refused(items: Any) -> None:
    with pytest.raises(TypeError, match="mapping"):
        lookups.ordered(ITEMS, items, "PRD-1")
    with pytest.raises(TypeError, match="mapping"):
        lookups.values(PARAMS, items, "PRD-1")


def test_values_are_named_as_orders_name_parameters() -> None:
    given = {"PRM-1": "acme.example", "options": {"weekly": True}}
    assert lookups.values(PARAMS, given, "PRD-1") == [
        {"id": "domain", "value": "acme.example"},
        {"id": "options", "structured_value": {"weekly": True}},
    ]


def test_unknown_parameter_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"Known: domain, options\."):
        lookups.values(PARAMS, {"domian": 1}, "PRD-1")


def test_product_without_parameters_says_so() -> None:
    with pytest.raises(UnknownName, match="Known: none"):
        lookups.values([], {"domain": 1}, "PRD-1")
