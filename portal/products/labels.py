"""What a product can do, in words: each capability of `writes.capabilities.TREE` once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EDITS = {
    "editable_ordering_parameters": "Ordering parameters may be edited",
    "editable_fulfillment_parameters": "Fulfillment parameters may be edited",
}
_CHECKS = {
    "validation": "Drafts are validated",
    "inquiring_validation": "Answers to inquiries are validated",
}
_SCHEDULING = "May be scheduled for a date"


def _below(branch: str, words: Mapping[str, str]) -> dict[str, str]:
    return {f"{branch}.{name}": said for name, said in words.items()}


# A group: its address, its title, what it is about, and its capabilities by dotted path.
GROUPS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("purchases", "Purchases", "How new subscriptions are ordered.", {
        "cart.validation": "Drafts are validated",
        "inquiring.validation": "Answers to inquiries are validated",
        "subscription.purchase.scheduling": _SCHEDULING,
        "reservation.consumption": "What is used of reserved items is reported",
    }),
    ("changes", "Changes", "How items and quantities of a subscription are changed.", _below(
        "subscription.change", {
            **_CHECKS, **_EDITS, "scheduling": _SCHEDULING,
            "simultaneous_adjustment": "May be adjusted while another request is open",
        },
    )),
    ("renewals", "Renewals", "How a subscription is prolonged by a request.", _below(
        "subscription.renew", {
            "enable_renew": "Renew requests", **_CHECKS, **_EDITS, "scheduling": _SCHEDULING,
        },
    )),
    ("transfers", "Transfers", "How what a customer has elsewhere is taken over.", _below(
        "subscription.transfer", {
            "enable_transfer": "Transfer requests",
            "transfer_autoapprove": "Transfers are approved by themselves", **_CHECKS, **_EDITS,
        },
    )),
    ("subscriptions", "Subscriptions", "What becomes of a subscription later.", {
        "subscription.hold": "Suspend and resume requests",
        "subscription.suspend.scheduling": "Suspensions may be scheduled for a date",
        "subscription.suspend.offline": "Suspended without the vendor",
        "subscription.resume.scheduling": "Resumptions may be scheduled for a date",
        "subscription.cancel.scheduling": "Cancellations may be scheduled for a date",
        "subscription.cancel.offline": "Cancelled without the vendor",
        "subscription.parameter.versions": "Older values of parameters are kept",
        "subscription.schema": "End of the term",
    }),
    ("tiers", "Tiers", "What resellers have to be set up for.", {
        "tiers.configs.configs": "Tier configurations",
        "tiers.configs.level": "Levels of resellers",
        "tiers.validation": "Drafts of setup requests are validated",
        "tiers.configs.setup.inquiring_validation":
            "Answers to inquiries of setup requests are validated",
        "tiers.configs.update.validation": "Drafts of update requests are validated",
        "tiers.configs.update.inquiring_validation":
            "Answers to inquiries of update requests are validated",
        "tiers.updates": "Tier account requests: changes of customers and resellers",
    }),
    ("usage", "Pay as you go", "How what was used is reported and billed.", {
        "ppu.ppu": "Pay as you go",
        "ppu.schema": "Schema of usage files",
        "ppu.dynamic": "Items may be added by usage files",
        "ppu.future": "Usage of the future may be reported",
        "ppu.late": "Usage may be reported late",
        "ppu.predictive": "Usage is predicted",
        "ppu.required_custom_fields": "Custom fields that usage records must have",
    }),
)  # fmt: skip

_OFFLINE = {"no": "Never", "allowed": "Where the distributor asks for it", "auto": "Always"}
CHOICES: Mapping[str, Mapping[str, str]] = {
    "ppu.schema": {
        "QT": "Quantity (QT)", "TR": "Tier rate (TR)", "CR": "Cost rate (CR)",
        "PR": "Price rate (PR)",
    },
    "subscription.schema": {
        "explicit": "Explicit: it ends unless renewed",
        "evergreen": "Evergreen: it goes on until cancelled",
    },
    "subscription.suspend.offline": _OFFLINE,
    "subscription.cancel.offline": _OFFLINE,
    "tiers.configs.level": {"1": "Tier 1", "2": "Tier 1 and tier 2"},
}  # fmt: skip


def constraints(parameter: Any) -> list[str]:
    """Return what a parameter's value must be, in a few words each."""
    given: Mapping[str, Any] = parameter.constraints
    found = [
        word
        for name, word in (
            ("required", "Required"), ("unique", "Unique"), ("hidden", "Hidden"),
            ("readonly", "Read-only"), ("reconciliation", "For reconciliation"),
        )
        if given.get(name)
    ]  # fmt: skip
    if given.get("min_length"):
        found.append(f"{given['min_length']} characters or more")
    if given.get("max_length"):
        found.append(f"{given['max_length']} characters or fewer")
    if given.get("shared"):
        found.append(f"Shared: {given['shared']}")
    if given.get("choices"):
        how_many = "Any" if parameter.type == "checkbox" else "One"
        found.append(f"{how_many} of: {_choices(given['choices'])}")
    needed = given.get("dependency")
    if isinstance(needed, Mapping):
        of = needed.get("parameter", {}).get("id", "")
        found.append(f"Depends on {of}: {', '.join(map(str, needed.get('values', ())))}")
    return found


def _choices(choices: Any) -> str:
    return ", ".join(
        str(choice.get("label") or choice.get("value")) if isinstance(choice, Mapping) else
        str(choice) for choice in choices
    )  # fmt: skip
