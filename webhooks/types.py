"""Connect's webhook types as data: what triggers each, and which capability it needs."""

from __future__ import annotations

from dataclasses import dataclass

from requests_queue.catalog.models import Product
from requests_queue.queues import base

EVENT = "event"

# Plurals of Connect's object classes, as in its payload example (SIM_OBJECT_CLASS_FORM). Five of
# them are inferred from the documented one: docs/fidelity.md.
PLURALS = {
    "fulfillment_request": "fulfillment_requests",
    "tier_config_request": "tier_config_requests",
    "tier_account_request": "tier_account_requests",
    "listing_request": "listing_requests",
    "billing_request": "billing_requests",
    "usage_file": "usage_files",
}


@dataclass(frozen=True, slots=True)
class ValidatorTrigger:
    """When a validator is called: the type, the tier level and the status of the request."""

    kind: str
    status: str
    # Enables the validation: a dotted path below the product's `capabilities`.
    capability: str
    level: int | None = None

    def missing_capability(self, product: Product) -> str | None:
        """Return the capability that the product lacks for the validation, or None."""
        enabling = _ENABLING.get(self.kind)
        if enabling and not product.capability(enabling):
            return enabling
        if self.level is not None:
            if not product.capability("tiers.configs"):
                return "tiers.configs"
            if self.level == 2 and str(product.capability("tiers.configs.level")) != "2":
                return "tiers.configs.level (2)"
        return None if product.capability(self.capability) else self.capability


# Capabilities without which there are no requests of the type.
_ENABLING = {
    "renew": "subscription.renew.enable_renew",
    "transfer": "subscription.transfer.enable_transfer",
}


@dataclass(frozen=True, slots=True)
class WebhookType:
    """One pair of `type` and `object_class` that a webhook can have."""

    type: str
    object_class: str
    label: str
    # One line for the choice of a type.
    explanation: str
    # Only validators, which are called synchronously with the whole object; for vendors.
    trigger: ValidatorTrigger | None = None


def find(type_: str, object_class: str) -> WebhookType | None:
    """Return the type of a pair, or None if the two don't belong together."""
    return next(
        (t for t in registered() if (t.type, t.object_class) == (type_, object_class)), None
    )


def find_validator(
    object_class: str, kind: str, status: str, level: int | None = None
) -> WebhookType | None:
    """Return the validator type for a request of this type, status and tier level, or None."""
    return next(
        (
            t
            for t in _CONNECT
            if t.object_class == object_class
            and t.trigger is not None
            and (t.trigger.kind, t.trigger.status, t.trigger.level) == (kind, status, level)
        ),
        None,
    )


def registered() -> tuple[WebhookType, ...]:
    """Return all types: Connect's, and an event type for every other queue with webhooks."""
    # Computed each time, because queues register later.
    others = (
        _of_queue(queue.object_class, f"{queue.title} — Queue Changes", f"queue “{queue.title}”")
        for queue in base.registered()
        if queue.has_webhooks and queue.object_class not in PLURALS
    )
    return (*_CONNECT, *others)


def label(type_: str, object_class: str) -> str:
    """Return the label of a type, also of a stored type that no longer exists."""
    webhook_type = find(type_, object_class)
    return webhook_type.label if webhook_type else f"{type_} of {object_class}"


def type_choices() -> list[tuple[str, str]]:
    """Return the values of `type` for a model field (a callable: no migration per type)."""
    return [(name, name) for name in dict.fromkeys(t.type for t in registered())]


def object_class_choices() -> list[tuple[str, str]]:
    """Return the values of `object_class` for a model field."""
    return [(name, name) for name in dict.fromkeys(t.object_class for t in registered())]


def _of_queue(object_class: str, name: str, queue: str) -> WebhookType:
    explanation = f"Called when an object in the {queue} is created or changes its status."
    return WebhookType(EVENT, object_class, name, explanation)


_FULFILLMENT, _TIER_CONFIG = "fulfillment_request", "tier_config_request"
_QUEUES = (
    (
        _FULFILLMENT,
        "Subscription — Fulfillment Requests — Queue Changes",
        "queue of subscription requests",
    ),
    (
        "billing_request",
        "Subscription — Billing Request — Queue Changes",
        "queue of billing requests",
    ),
    ("listing_request", "Listing Request", "queue of listing requests"),
    (
        "tier_account_request",
        "Tier Account Request — Queue Changes",
        "queue of tier account requests",
    ),
    (_TIER_CONFIG, "Tier Configuration Request — Queue Changes", "queue of tier config requests"),
    ("usage_file", "Usage File — Queue Changes", "queue of usage files"),
)
# Webhook type, request type, status, capability.
_ORDERS = (
    ("validator", "purchase", "draft", "cart.validation"),
    ("inquiring_validator", "purchase", "inquiring", "inquiring.validation"),
    ("change_validator", "change", "draft", "subscription.change.validation"),
    (
        "change_inquiring_validator",
        "change",
        "inquiring",
        "subscription.change.inquiring_validation",
    ),
    ("renew_validator", "renew", "draft", "subscription.renew.validation"),
    ("renew_inquiring_validator", "renew", "inquiring", "subscription.renew.inquiring_validation"),
    ("transfer_validator", "transfer", "draft", "subscription.transfer.validation"),
    (
        "transfer_inquiring_validator",
        "transfer",
        "inquiring",
        "subscription.transfer.inquiring_validation",
    ),
)
# The same for each tier level.
_CONFIGS = (
    ("draft_tcr_t{}_val", "setup", "draft", "tiers.validation"),
    ("tcr_setup_t{}_inq_val", "setup", "inquiring", "tiers.configs.setup.inquiring_validation"),
    ("tcr_update_t{}_validator", "update", "draft", "tiers.configs.update.validation"),
    ("tcr_update_t{}_inq_val", "update", "inquiring", "tiers.configs.update.inquiring_validation"),
)
_STATUS_LABELS = {"draft": "Draft Validation", "inquiring": "Inquiring Validation"}
_EXPLANATIONS = {
    "draft": "Called when a draft {} is validated: the response sets values and errors of its "
    "parameters.",
    "inquiring": "Called when the inquiring form of a {} is submitted: the response sets values "
    "and errors; the status does not change.",
}
_CONNECT = (
    *(_of_queue(*queue) for queue in _QUEUES),
    *(
        WebhookType(
            type_,
            _FULFILLMENT,
            f"Subscription — {kind.capitalize()} Request — {_STATUS_LABELS[status]}",
            _EXPLANATIONS[status].format(f"{kind} request"),
            ValidatorTrigger(kind, status, capability),
        )
        for type_, kind, status, capability in _ORDERS
    ),
    *(
        WebhookType(
            type_.format(level),
            _TIER_CONFIG,
            f"Tier {level} Config — {kind.capitalize()} Request — {_STATUS_LABELS[status]}",
            _EXPLANATIONS[status].format(f"tier {level} {kind} request"),
            ValidatorTrigger(kind, status, capability, level),
        )
        for type_, kind, status, capability in _CONFIGS
        for level in (1, 2)
    ),
)
