"""Labels of products: each capability of `writes.capabilities.TREE` once, and constraints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EDITS = {
    "editable_ordering_parameters": "Ordering parameters can be edited",
    "editable_fulfillment_parameters": "Fulfillment parameters can be edited",
}
_CHECKS = {
    "validation": "Drafts are validated",
    "inquiring_validation": "Answers to inquiries are validated",
}
_SCHEDULING = "Can be scheduled"


def _below(branch: str, labels: Mapping[str, str]) -> dict[str, str]:
    return {f"{branch}.{name}": label for name, label in labels.items()}


# A group: its slug, title, description, and labels of capabilities by dotted path.
GROUPS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (
        "purchases",
        "Purchases",
        "Ordering new subscriptions.",
        {
            "cart.validation": "Drafts are validated",
            "inquiring.validation": "Answers to inquiries are validated",
            "subscription.purchase.scheduling": _SCHEDULING,
            "reservation.consumption": "Consumption of reserved items is reported",
        },
    ),
    (
        "changes",
        "Changes",
        "Changing items and quantities of a subscription.",
        _below(
            "subscription.change",
            {
                **_CHECKS,
                **_EDITS,
                "scheduling": _SCHEDULING,
                "simultaneous_adjustment": "Can be changed while another request is open",
            },
        ),
    ),
    (
        "renewals",
        "Renewals",
        "Renewing a subscription by a request.",
        _below(
            "subscription.renew",
            {
                "enable_renew": "Renew requests",
                **_CHECKS,
                **_EDITS,
                "scheduling": _SCHEDULING,
            },
        ),
    ),
    (
        "transfers",
        "Transfers",
        "Taking over subscriptions from elsewhere.",
        _below(
            "subscription.transfer",
            {
                "enable_transfer": "Transfer requests",
                "transfer_autoapprove": "Transfers are approved automatically",
                **_CHECKS,
                **_EDITS,
            },
        ),
    ),
    (
        "subscriptions",
        "Subscriptions",
        "Suspending, resuming and ending subscriptions.",
        {
            "subscription.hold": "Suspend and resume requests",
            "subscription.suspend.scheduling": "Suspensions can be scheduled",
            "subscription.suspend.offline": "Suspend without the vendor",
            "subscription.resume.scheduling": "Resumptions can be scheduled",
            "subscription.cancel.scheduling": "Cancellations can be scheduled",
            "subscription.cancel.offline": "Cancel without the vendor",
            "subscription.parameter.versions": "Previous values of parameters are kept",
            "subscription.schema": "End of the term",
        },
    ),
    (
        "tiers",
        "Tiers",
        "Setting up resellers.",
        {
            "tiers.configs.configs": "Tier configurations",
            "tiers.configs.level": "Levels of resellers",
            "tiers.validation": "Drafts of setup requests are validated",
            "tiers.configs.setup.inquiring_validation": (
                "Answers to inquiries of setup requests are validated"
            ),
            "tiers.configs.update.validation": "Drafts of update requests are validated",
            "tiers.configs.update.inquiring_validation": (
                "Answers to inquiries of update requests are validated"
            ),
            "tiers.updates": "Tier account requests (changes of customers and resellers)",
        },
    ),
    (
        "usage",
        "Pay as you go",
        "Reporting and billing of usage.",
        {
            "ppu.ppu": "Pay as you go",
            "ppu.schema": "Schema of usage files",
            "ppu.dynamic": "Usage files can add items",
            "ppu.future": "Future usage can be reported",
            "ppu.late": "Late usage can be reported",
            "ppu.predictive": "Predictive usage",
            "ppu.required_custom_fields": "Required custom fields of usage records",
        },
    ),
)

_OFFLINE = {"no": "Never", "allowed": "If the distributor requests it", "auto": "Always"}
CHOICES: Mapping[str, Mapping[str, str]] = {
    "ppu.schema": {
        "QT": "Quantity (QT)",
        "TR": "Tier rate (TR)",
        "CR": "Cost rate (CR)",
        "PR": "Price rate (PR)",
    },
    "subscription.schema": {
        "explicit": "Explicit (ends unless renewed)",
        "evergreen": "Evergreen (continues until canceled)",
    },
    "subscription.suspend.offline": _OFFLINE,
    "subscription.cancel.offline": _OFFLINE,
    "tiers.configs.level": {"1": "Tier 1", "2": "Tier 1 and tier 2"},
}


def constraints(parameter: Any) -> list[str]:
    """Return the constraints of a parameter as short texts."""
    rules: Mapping[str, Any] = parameter.constraints
    texts = [
        label
        for name, label in (
            ("required", "Required"),
            ("unique", "Unique"),
            ("hidden", "Hidden"),
            ("readonly", "Read-only"),
            ("reconciliation", "For reconciliation"),
        )
        if rules.get(name)
    ]
    if rules.get("min_length"):
        texts.append(f"{rules['min_length']} characters at least")
    if rules.get("max_length"):
        texts.append(f"{rules['max_length']} characters at most")
    if rules.get("shared"):
        texts.append(f"Shared: {rules['shared']}")
    if rules.get("choices"):
        how_many = "Any" if parameter.type == "checkbox" else "One"
        texts.append(f"{how_many} of: {_choices(rules['choices'])}")
    dependency = rules.get("dependency")
    if isinstance(dependency, Mapping):
        of = dependency.get("parameter", {}).get("id", "")
        texts.append(f"Depends on {of}: {', '.join(map(str, dependency.get('values', ())))}")
    return texts


def _choices(choices: Any) -> str:
    return ", ".join(
        str(choice.get("label") or choice.get("value"))
        if isinstance(choice, Mapping)
        else str(choice)
        for choice in choices
    )
