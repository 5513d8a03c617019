"""The webhook types, specified a second time: triggers and capabilities."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from requests_queue.catalog.models import Product
from webhooks import types

ORDER, CONFIG = "fulfillment_request", "tier_config_request"


class Case(NamedTuple):
    """A row of the table of validator types."""

    type: str
    object_class: str
    kind: str
    level: int | None
    status: str
    capability: str


TABLE = [
    Case("validator", ORDER, "purchase", None, "draft", "cart.validation"),
    Case("inquiring_validator", ORDER, "purchase", None, "inquiring", "inquiring.validation"),
    Case("change_validator", ORDER, "change", None, "draft", "subscription.change.validation"),
    Case("change_inquiring_validator", ORDER, "change", None, "inquiring",
         "subscription.change.inquiring_validation"),
    Case("renew_validator", ORDER, "renew", None, "draft", "subscription.renew.validation"),
    Case("renew_inquiring_validator", ORDER, "renew", None, "inquiring",
         "subscription.renew.inquiring_validation"),
    Case("transfer_validator", ORDER, "transfer", None, "draft",
         "subscription.transfer.validation"),
    Case("transfer_inquiring_validator", ORDER, "transfer", None, "inquiring",
         "subscription.transfer.inquiring_validation"),
    Case("draft_tcr_t1_val", CONFIG, "setup", 1, "draft", "tiers.validation"),
    Case("draft_tcr_t2_val", CONFIG, "setup", 2, "draft", "tiers.validation"),
    Case("tcr_setup_t1_inq_val", CONFIG, "setup", 1, "inquiring",
         "tiers.configs.setup.inquiring_validation"),
    Case("tcr_setup_t2_inq_val", CONFIG, "setup", 2, "inquiring",
         "tiers.configs.setup.inquiring_validation"),
    Case("tcr_update_t1_validator", CONFIG, "update", 1, "draft",
         "tiers.configs.update.validation"),
    Case("tcr_update_t2_validator", CONFIG, "update", 2, "draft",
         "tiers.configs.update.validation"),
    Case("tcr_update_t1_inq_val", CONFIG, "update", 1, "inquiring",
         "tiers.configs.update.inquiring_validation"),
    Case("tcr_update_t2_inq_val", CONFIG, "update", 2, "inquiring",
         "tiers.configs.update.inquiring_validation"),
]  # fmt: skip
# Capabilities without which there are no requests of the type or level.
SWITCHES: dict[str | int, list[tuple[str, Any]]] = {
    "renew": [("subscription.renew.enable_renew", True)],
    "transfer": [("subscription.transfer.enable_transfer", True)],
    1: [("tiers.configs.level", 1)],
    2: [("tiers.configs.level", 2)],
}


def product(*switches: tuple[str, Any]) -> Product:
    """Return an unsaved product with these capabilities."""
    capabilities: dict[str, Any] = {}
    for path, value in switches:
        *above, last = path.split(".")
        node = capabilities
        for key in above:
            node = node.setdefault(key, {})
        node[last] = value
    return Product(id="PRD-1", capabilities=capabilities)


def needed(row: Case) -> list[tuple[str, Any]]:
    """Return all capabilities that such a validator needs."""
    more = SWITCHES.get(row.kind, []) + SWITCHES.get(row.level or 0, [])
    return [*more, (row.capability, True)]


each_type = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.type)


def trigger_of(type_: str, object_class: str) -> types.ValidatorTrigger:
    found = types.find(type_, object_class)
    assert found is not None and found.trigger is not None
    return found.trigger


def test_types_are_these_and_six_queue_changes() -> None:
    registered = types.registered()
    validators = [t for t in registered if t.trigger is not None]
    assert {(t.type, t.object_class) for t in validators} == {s[:2] for s in TABLE}
    assert len(validators) == len(TABLE) == 16
    events = [t for t in registered if t.trigger is None]
    assert {t.type for t in events} == {"event"}
    # Connect has no type for helpdesk cases.
    assert {t.object_class for t in events} == {
        "fulfillment_request",
        "tier_config_request",
        "tier_account_request",
        "listing_request",
        "billing_request",
        "usage_file",
    }
    assert len(registered) == len({t.label for t in registered}) == 22
    assert len(types.type_choices()) == 17


@each_type
def test_trigger_of_type(row: Case) -> None:
    trigger = trigger_of(row.type, row.object_class)
    assert (trigger.kind, trigger.level, trigger.status, trigger.capability) == row[2:]
    found_type = types.find_validator(row.object_class, row.kind, row.status, row.level)
    assert found_type is not None and found_type.type == row.type


@each_type
def test_label_matches_trigger(row: Case) -> None:
    found = types.find(row.type, row.object_class)
    assert found is not None
    for word in (row.kind, row.status, f"Tier {row.level}" if row.level else "Subscription"):
        assert word.lower() in found.label.lower()


@each_type
def test_no_other_request_is_validated(row: Case) -> None:
    others = [
        *((row.kind, status, row.level) for status in ("pending", "approved", "tiers_setup", "")),
        *((kind, row.status, row.level) for kind in ("cancel", "suspend", "resume", "adjustment")),
        *(
            (row.kind, row.status, level)
            for level in {None, 0, 1, 2, 3} - ({1, 2} if row.level else {None})
        ),
    ]
    for other in others:
        assert types.find_validator(row.object_class, *other) is None
    assert types.find(row.type, ORDER if row.object_class == CONFIG else CONFIG) is None
    assert types.find_validator("usage_file", row.kind, row.status, row.level) is None


def missing(row: Case, *switches: tuple[str, Any]) -> str | None:
    """Return the capability that a product with these lacks."""
    return trigger_of(row.type, row.object_class).missing_capability(product(*switches))


@each_type
def test_missing_capability_is_named(row: Case) -> None:
    everything = needed(row)
    assert missing(row, *everything) is None
    # Levels have their own test.
    for path in {path for path, _ in everything} - {"tiers.configs.level"}:
        rest = [switch for switch in everything if switch[0] != path]
        for off in (rest, [*rest, (path, False)], [*rest, (path, None)]):
            assert missing(row, *off) == path


@each_type
def test_product_without_capabilities_is_never_validated(row: Case) -> None:
    assert missing(row) is not None
    assert missing(row, ("tiers", None), ("cart", 1)) is not None


@each_type
def test_capabilities_of_other_type_are_not_enough(row: Case) -> None:
    switches = [s for other in TABLE for s in needed(other) if s[0] != row.capability]
    assert missing(row, *switches, ("tiers.configs.level", 2)) == row.capability


@pytest.mark.parametrize(
    ("configs", "first", "second"),
    [
        (None, "tiers.configs", "tiers.configs"),
        (False, "tiers.configs", "tiers.configs"),
        ({}, "tiers.configs", "tiers.configs"),
        ({"configs": False, "level": 2}, "tiers.configs", "tiers.configs"),
        ({"configs": True, "level": 1}, None, "tiers.configs.level (2)"),
        ({"level": 1}, None, "tiers.configs.level (2)"),
        ({"level": "1"}, None, "tiers.configs.level (2)"),
        ({"level": 2}, None, None),
        ({"level": "2"}, None, None),
    ],
)
def test_tier_levels(configs: Any, first: str | None, second: str | None) -> None:
    subject = Product(id="PRD-1", capabilities={"tiers": {"validation": True, "configs": configs}})
    for type_, expected in (("draft_tcr_t1_val", first), ("draft_tcr_t2_val", second)):
        assert trigger_of(type_, CONFIG).missing_capability(subject) == expected
