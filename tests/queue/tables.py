"""Transition tables of all queues, from Connect's documentation and not from the declarations.

Tests compare the declarations with them. V is the vendor, D the distributor, S the platform.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Row(NamedTuple):
    """A row of a table: an action, its statuses, and the actors that may take it."""

    verb: str
    source: str
    target: str
    actors: str
    # Other resulting statuses, depending on missing values or on the object's parts.
    others: tuple[str, ...] = ()


FULFILLMENT, TIER_CONFIG = "fulfillment_request", "tier_config_request"
TIER_ACCOUNT, LISTING = "tier_account_request", "listing_request"
USAGE, BILLING = "usage_file", "billing_request"
CASES = "helpdesk_case"

_STARTS = ("tiers_setup", "inquiring")

TABLES: dict[str, tuple[Row, ...]] = {
    FULFILLMENT: (
        Row("purchase", "draft", "pending", "D", _STARTS),
        Row("submit", "draft", "pending", "D", _STARTS),
        Row("release", "tiers_setup", "pending", "S", ("inquiring",)),
        Row("fail", "tiers_setup", "failed", "S"),
        Row("inquire", "pending", "inquiring", "V"),
        Row("approve", "pending", "approved", "V"),
        Row("fail", "pending", "failed", "VD"),
        Row("schedule", "pending", "scheduled", "V"),
        Row("pend", "inquiring", "pending", "VD"),
        Row("fail", "inquiring", "failed", "VD"),
        Row("pend", "scheduled", "pending", "VS"),
        Row("revoke", "scheduled", "revoking", "D"),
        Row("confirm", "revoking", "revoked", "V"),
    ),
    TIER_CONFIG: (
        Row("submit", "draft", "pending", "D", _STARTS),
        Row("release", "tiers_setup", "pending", "S", ("inquiring",)),
        Row("fail", "tiers_setup", "failed", "VDS"),
        Row("inquire", "pending", "inquiring", "V"),
        Row("approve", "pending", "approved", "V"),
        Row("fail", "pending", "failed", "VD"),
        Row("pend", "inquiring", "pending", "VD"),
        Row("fail", "inquiring", "failed", "VD"),
    ),
    TIER_ACCOUNT: (
        Row("accept", "pending", "accepted", "V"),
        Row("ignore", "pending", "ignored", "V"),
    ),
    LISTING: (
        Row("submit", "draft", "reviewing", "V"),
        Row("cancel", "draft", "canceled", "V"),
        Row("deploy", "reviewing", "deploying", "D"),
        Row("refine", "reviewing", "draft", "D"),
        Row("cancel", "reviewing", "canceled", "D"),
        Row("complete", "deploying", "completed", "D"),
        Row("refine", "deploying", "draft", "D"),
        Row("cancel", "deploying", "canceled", "D"),
    ),
    USAGE: (
        Row("upload", "draft", "uploading", "V"),
        Row("upload", "invalid", "uploading", "V"),
        Row("upload", "ready", "uploading", "V"),
        Row("upload", "uploaded", "uploading", "V"),
        Row("upload", "rejected", "uploading", "V"),
        Row("process", "uploading", "processing", "S"),
        Row("ready", "processing", "ready", "S", ("uploaded",)),
        Row("invalidate", "processing", "invalid", "S"),
        Row("submit", "ready", "pending", "V"),
        Row("submit", "uploaded", "pending", "V"),
        Row("accept", "pending", "accepted", "D"),
        Row("reject", "pending", "rejected", "D"),
        Row("close", "accepted", "closed", "D"),
        Row("reconciliation", "accepted", "accepted", "D", ("closed",)),
        Row("delete", "draft", "deleted", "V"),
        Row("delete", "invalid", "deleted", "V"),
        Row("delete", "ready", "deleted", "V"),
        Row("delete", "uploaded", "deleted", "V"),
        Row("reprocess", "invalid", "processing", "V"),
        Row("reprocess", "ready", "processing", "V"),
        Row("reprocess", "uploaded", "processing", "V"),
        Row("reprocess", "pending", "pending", "D"),
        Row("reprocess", "accepted", "accepted", "D"),
    ),
    BILLING: (),
    # Of a case that the distributor has opened; otherwise the other way round.
    CASES: (
        Row("inquire", "pending", "inquiring", "V"),
        Row("pend", "inquiring", "pending", "VD"),
        Row("resolve", "pending", "resolved", "VD"),
        Row("close", "resolved", "closed", "DS"),
        Row("pend", "resolved", "pending", "VD"),
    ),
}

STATUSES: dict[str, tuple[str, ...]] = {
    FULFILLMENT: (
        "draft", "tiers_setup", "pending", "inquiring", "approved", "failed", "scheduled",
        "revoking", "revoked",
    ),
    TIER_CONFIG: ("draft", "tiers_setup", "pending", "inquiring", "approved", "failed"),
    TIER_ACCOUNT: ("pending", "accepted", "ignored", "unsupported"),
    LISTING: ("draft", "reviewing", "deploying", "completed", "canceled"),
    USAGE: (
        "draft", "uploading", "uploaded", "invalid", "processing", "ready", "rejected", "pending",
        "accepted", "closed", "deleted",
    ),
    BILLING: (),
    CASES: ("pending", "inquiring", "resolved", "closed"),
}  # fmt: skip

TYPES: dict[str, tuple[str, ...]] = {
    FULFILLMENT: (
        "purchase", "change", "suspend", "resume", "cancel", "adjustment", "renew", "transfer",
    ),
    TIER_CONFIG: ("setup", "update", "adjustment"),
    TIER_ACCOUNT: ("update",),
    LISTING: ("update", "new", "remove"),
    USAGE: (),
    BILLING: ("vendor", "provider"),
    CASES: ("technical", "business"),
}  # fmt: skip

# Statuses in which objects can be created; creating a draft is not a queue change.
INITIAL: dict[str, tuple[str, ...]] = {
    FULFILLMENT: ("draft", "tiers_setup", "pending", "inquiring", "failed"),
    TIER_CONFIG: ("draft", "tiers_setup", "pending", "inquiring"),
    TIER_ACCOUNT: ("pending", "unsupported"),
    LISTING: ("draft",),
    USAGE: ("draft",),
    BILLING: ("",),
    CASES: ("pending",),
}

# Actions of some types only.
TYPES_OF_VERB = {
    (FULFILLMENT, "purchase"): ("purchase",),
    (FULFILLMENT, "submit"): tuple(t for t in TYPES[FULFILLMENT] if t != "purchase"),
}

# Bodies that an action by its party refuses: status, action, actor, bodies, part of the message.
REFUSED: dict[str, tuple[tuple[str, str, str, tuple[Any, ...], str], ...]] = {
    FULFILLMENT: (
        ("pending", "fail", "V", (None, {}, {"reason": ""}, {"reason": "  "}), "reason"),
        ("pending", "approve", "V", ({"template_id": "TL-0"},), "template_id"),
        ("pending", "schedule", "V", (None, *({"planned_date": value} for value in (
            None, "", "soon", "2020-01-01", 7, "2026-13-45T00:00:00"))), "planned_date"),
        ("scheduled", "revoke", "D", (None, {"reason": " "}), "reason"),
    ),
    TIER_CONFIG: (
        ("pending", "fail", "V", (None, {"reason": " "}), "Missed fields: reason."),
        ("pending", "fail", "V", ({"reason": [1]},), "reason: Not a valid string."),
        ("pending", "fail", "V", ({"reason": "x" * 501},),
         "reason: Ensure this field has no more than 500 characters."),
        ("pending", "approve", "V", ({"template": {"id": "TL-1"}},), "TL-1 does not exist"),
    ),
    TIER_ACCOUNT: (
        ("pending", "ignore", "V", ({"reason": "x" * 256}, {"reason": [5]}, {"reason": ["x"]}),
         "reason"),
    ),
    CASES: (
        ("resolved", "close", "D", tuple({"rating": value} for value in (
            0, 6, "6", "x", "", 2.5, True, [5], {})), "rating"),
        ("resolved", "close", "D", ({"feedback": ["x"]}, {"feedback": "x" * 10_001}), "feedback"),
    ),
}  # fmt: skip

PATHS = {
    FULFILLMENT: "/requests", TIER_CONFIG: "/tier/config-requests",
    TIER_ACCOUNT: "/tier/account-requests", LISTING: "/listing-requests",
    USAGE: "/usage/files", BILLING: "/subscriptions/requests", CASES: "/helpdesk/cases",
}  # fmt: skip

# Status of the asset by type of fulfillment request: required before, then after create,
# approve and fail.
ASSETS = (
    ("purchase", None, "processing", "active", "terminated"),
    ("change", "active", "active", "active", "active"),
    ("adjustment", "active", "active", "active", "active"),
    ("suspend", "active", "active", "suspended", "active"),
    ("resume", "suspended", "suspended", "active", "suspended"),
    ("cancel", "active", "terminating", "terminated", "active"),
    ("cancel", "suspended", "terminating", "terminated", "suspended"),
    ("renew", "active", "active", "active", "active"),
    ("transfer", "active", "active", "active", "active"),
)
ASSET_STATUSES = ("draft", "processing", "active", "terminating", "suspended", "terminated")


# What the API says of an action in a wrong status; else it names the action, status and object.
NOT_ALLOWED = {CASES: ("The action is not allowed for current status",)}


def rows(queue: str, verb: str) -> list[Row]:
    """Return the rows of an action."""
    return [row for row in TABLES[queue] if row.verb == verb]


def verbs(queue: str) -> list[str]:
    """Return the actions of a queue."""
    return list(dict.fromkeys(row.verb for row in TABLES[queue]))


def is_callable(queue: str, verb: str) -> bool:
    """Return whether a party may take the action, so that it has a path."""
    return any(row.actors != "S" for row in rows(queue, verb))


def fits(queue: str, verb: str, kind: str) -> bool:
    """Return whether objects of a type have the action."""
    return kind in TYPES_OF_VERB.get((queue, verb), (kind,))


def legal(queue: str, verb: str, status: str, kind: str, actor: str) -> Row | None:
    """Return the row by which V, D or S may take the action in a status."""
    legal = [r for r in rows(queue, verb) if r.source == status and actor in r.actors]
    return legal[0] if legal and fits(queue, verb, kind) else None


def refusal(queue: str, verb: str, status: str, kind: str, actor: str) -> int:
    """Return the status of a refusal: 403 if only other actors may take the action, else 400."""
    lines = rows(queue, verb)
    if not any(actor in row.actors for row in lines):
        return 403
    if not fits(queue, verb, kind):
        return 400
    return 403 if any(row.source == status for row in lines) else 400


def links(queue: str) -> set[tuple[str, str]]:
    """Return the changes of status that the table allows."""
    return {
        (row.source, target)
        for row in TABLES[queue]
        for target in (row.target, *row.others)
        if target != row.source
    }
