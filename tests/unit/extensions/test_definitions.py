"""The event types: which changes are which, and what the runner filters by."""

from __future__ import annotations

from string import Template

import pytest

from extensions import definitions, messages
from extensions.definitions import EVENT_TYPES


@pytest.mark.parametrize(
    ("object_class", "type", "expected"),
    [
        ("fulfillment_request", "purchase", ["asset_purchase_request_processing"]),
        ("fulfillment_request", "adjustment", ["asset_adjustment_request_processing"]),
        ("tier_config_request", "update", ["tier_config_change_request_processing"]),
        ("tier_account_request", "update", ["tier_account_update_request_processing"]),
        ("usage_file", "", ["usage_file_request_processing"]),
        (
            "listing_request",
            "new",
            ["listing_new_request_processing", "listing_request_processing"],
        ),
        ("listing_request", "update", ["listing_request_processing"]),
        ("product", "", ["product_changed"]),
        ("usage_chunk", "", ["part_usage_file_request_processing"]),
        ("helpdesk_case", "technical", ["helpdesk_case_processing"]),
        ("billing_request", "provider", []),
    ],
)
def test_change_is_of_these_types(object_class: str, type: str, expected: list[str]) -> None:
    assert [each.type for each in definitions.matching(object_class, type)] == expected


@pytest.mark.parametrize(
    ("object_class", "type", "expected"),
    [
        ("fulfillment_request", "purchase", "asset_purchase_request_validation"),
        ("fulfillment_request", "suspend", None),
        ("tier_config_request", "update", "tier_config_change_request_validation"),
        ("tier_config_request", "adjustment", None),
    ],
)
def test_validation_is_of_this_type(object_class: str, type: str, expected: str | None) -> None:
    found = definitions.validation(object_class, type)
    assert (found and found.type) == expected


def test_runner_can_fill_in_each_filter() -> None:
    definitions_of_runner = messages.event_definitions()
    for each in definitions_of_runner:
        query = Template(each["api_collection_filter"]).substitute(
            _object_id_="PR-1", _statuses_="(pending,draft)"
        )
        assert query.startswith("and(eq(id,PR-1),in(") and query.endswith(",(pending,draft)))")
        resource = each["api_resource_endpoint"].format(pk="PR-1")
        assert resource == f"{each['api_collection_endpoint']}/PR-1"
    background = {each.type for each in EVENT_TYPES.values() if each.category == "background"}
    assert {each["event_type"] for each in definitions_of_runner} == background
