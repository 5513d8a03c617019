"""Connect's webhook types as data: what each watches, and what a product needs for it."""

from __future__ import annotations

from dataclasses import dataclass

from requests_queue.queues import base

EVENT = "event"

# Connect's singular names, and the plural that its payload example shows (SIM_OBJECT_CLASS_FORM).
# Five of the plurals are inferred from the one documented: docs/fidelity.md.
PLURALS = {
    "fulfillment_request": "fulfillment_requests",
    "tier_config_request": "tier_config_requests",
    "tier_account_request": "tier_account_requests",
    "listing_request": "listing_requests",
    "billing_request": "billing_requests",
    "usage_file": "usage_files",
}


@dataclass(frozen=True, slots=True)
class WebhookType:
    """One pair of `type` and `object_class` that a webhook can have."""

    type: str
    object_class: str
    label: str
    # The capability that a product must have, as a dotted path below `capabilities`.
    capability: str | None = None

    @property
    def is_validator(self) -> bool:
        """Whether it is called synchronously, with the whole object; vendors only."""
        return self.type != EVENT


_types: dict[tuple[str, str], WebhookType] = {}


def register(webhook_type: WebhookType) -> None:
    """Add a type to the registry; the same pair twice is refused."""
    key = (webhook_type.type, webhook_type.object_class)
    if key in _types:
        raise ValueError(f"Webhook type {key} is registered already.")
    _types[key] = webhook_type


def find(type_: str, object_class: str) -> WebhookType | None:
    """Return the type of that pair, or None where the two don't fit each other."""
    return next(
        (t for t in registered() if (t.type, t.object_class) == (type_, object_class)), None
    )


def registered() -> tuple[WebhookType, ...]:
    """Return all types: Connect's, and the queue changes of every other queue that there is."""
    # Asked for anew, because the queues register after the emitter.
    others = (
        WebhookType(EVENT, queue.object_class, f"{queue.title} — Queue Changes")
        for queue in base.registered()
        if (EVENT, queue.object_class) not in _types
    )
    return (*_types.values(), *others)


def type_choices() -> list[tuple[str, str]]:
    """Return the values of `type` for a model field (a callable: no migration per type)."""
    return [(name, name) for name in dict.fromkeys(t.type for t in registered())]


def object_class_choices() -> list[tuple[str, str]]:
    """Return the values of `object_class` for a model field."""
    return [(name, name) for name in dict.fromkeys(t.object_class for t in registered())]


_FULFILLMENT, _TIER_CONFIG = "fulfillment_request", "tier_config_request"
for _row in (
    (EVENT, _FULFILLMENT, "Subscription — Fulfillment Requests — Queue Changes", None),
    (EVENT, "billing_request", "Subscription — Billing Request — Queue Changes", None),
    (EVENT, "listing_request", "Listing Request", None),
    (EVENT, "tier_account_request", "Tier Account Request — Queue Changes", None),
    (EVENT, _TIER_CONFIG, "Tier Configuration Request — Queue Changes", None),
    (EVENT, "usage_file", "Usage File — Queue Changes", None),
    (
        "validator",
        _FULFILLMENT,
        "Subscription — Purchase Request — Draft Validation",
        "cart.validation",
    ),
    (
        "inquiring_validator",
        _FULFILLMENT,
        "Subscription — Purchase Request — Inquiring Validation",
        "inquiring.validation",
    ),
    (
        "change_validator",
        _FULFILLMENT,
        "Subscription — Change Request — Draft Validation",
        "subscription.change.validation",
    ),
    (
        "change_inquiring_validator",
        _FULFILLMENT,
        "Subscription — Change Request — Inquiring Validation",
        "subscription.change.inquiring_validation",
    ),
    (
        "renew_validator",
        _FULFILLMENT,
        "Subscription — Renew Request — Draft Validation",
        "subscription.renew.validation",
    ),
    (
        "renew_inquiring_validator",
        _FULFILLMENT,
        "Subscription — Renew Request — Inquiring Validation",
        "subscription.renew.inquiring_validation",
    ),
    (
        "transfer_validator",
        _FULFILLMENT,
        "Subscription — Transfer Request — Draft Validation",
        "subscription.transfer.validation",
    ),
    (
        "transfer_inquiring_validator",
        _FULFILLMENT,
        "Subscription — Transfer Request — Inquiring Validation",
        "subscription.transfer.inquiring_validation",
    ),
    (
        "draft_tcr_t1_val",
        _TIER_CONFIG,
        "Tier 1 Config — Setup Request — Draft Validation",
        "tiers.validation",
    ),
    (
        "draft_tcr_t2_val",
        _TIER_CONFIG,
        "Tier 2 Config — Setup Request — Draft Validation",
        "tiers.validation",
    ),
    (
        "tcr_setup_t1_inq_val",
        _TIER_CONFIG,
        "Tier 1 Config — Setup Request — Inquiring Validation",
        "tiers.configs.setup.inquiring_validation",
    ),
    (
        "tcr_setup_t2_inq_val",
        _TIER_CONFIG,
        "Tier 2 Config — Setup Request — Inquiring Validation",
        "tiers.configs.setup.inquiring_validation",
    ),
    (
        "tcr_update_t1_validator",
        _TIER_CONFIG,
        "Tier 1 Config — Update Request — Draft Validation",
        "tiers.configs.update.validation",
    ),
    (
        "tcr_update_t2_validator",
        _TIER_CONFIG,
        "Tier 2 Config — Update Request — Draft Validation",
        "tiers.configs.update.validation",
    ),
    (
        "tcr_update_t1_inq_val",
        _TIER_CONFIG,
        "Tier 1 Config — Update Request — Inquiring Validation",
        "tiers.configs.update.inquiring_validation",
    ),
    (
        "tcr_update_t2_inq_val",
        _TIER_CONFIG,
        "Tier 2 Config — Update Request — Inquiring Validation",
        "tiers.configs.update.inquiring_validation",
    ),
):
    register(WebhookType(*_row))
