"""The words that methods take, as types: mypy and editors know them. The server has the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Union, get_args

# Statuses, by queue; billing requests have none.
OrderStatus = Literal[
    "draft",
    "tiers_setup",
    "pending",
    "inquiring",
    "approved",
    "failed",
    "scheduled",
    "revoking",
    "revoked",
]
SubscriptionStatus = Literal[
    "draft", "processing", "active", "suspended", "terminating", "terminated"
]
TierConfigStatus = Literal["draft", "tiers_setup", "pending", "inquiring", "approved", "failed"]
TierAccountStatus = Literal["pending", "accepted", "ignored", "unsupported"]
ListingStatus = Literal["draft", "reviewing", "deploying", "completed", "canceled"]
UsageFileStatus = Literal[
    "draft",
    "uploading",
    "uploaded",
    "invalid",
    "processing",
    "ready",
    "rejected",
    "pending",
    "accepted",
    "closed",
    "deleted",
]
CaseStatus = Literal["pending", "inquiring", "resolved", "closed"]
Status = Union[
    OrderStatus,
    SubscriptionStatus,
    TierConfigStatus,
    TierAccountStatus,
    ListingStatus,
    UsageFileStatus,
    CaseStatus,
]
# By the prefix of an id.
STATUSES: Mapping[str, tuple[str, ...]] = {
    "PR": get_args(OrderStatus),
    "AS": get_args(SubscriptionStatus),
    "TCR": get_args(TierConfigStatus),
    "TAR": get_args(TierAccountStatus),
    "LSTR": get_args(ListingStatus),
    "UF": get_args(UsageFileStatus),
    "CA": get_args(CaseStatus),
    "BRV": (),
    "BRP": (),
}

# Actions of vendors and distributors, by queue.
OrderAction = Literal[
    "purchase", "submit", "inquire", "pend", "approve", "fail", "schedule", "revoke", "confirm"
]
TierConfigAction = Literal["submit", "inquire", "pend", "approve", "fail"]
TierAccountAction = Literal["accept", "ignore"]
ListingAction = Literal["submit", "refine", "deploy", "complete", "cancel"]
UsageFileAction = Literal[
    "upload", "submit", "accept", "reject", "close", "delete", "reprocess", "reconciliation"
]
CaseAction = Literal["inquire", "pend", "resolve", "close"]
Action = Union[
    OrderAction,
    TierConfigAction,
    TierAccountAction,
    ListingAction,
    UsageFileAction,
    CaseAction,
]

FaultKind = Literal[
    "latency",
    "timeout",
    "reset_peer",
    "limit_data",
    "slicer",
    "abort",
    "succeed_first",
    "fail_first",
    "outage",
    "duplicate",
    "reorder",
    "drop",
    "stale_token",
    "clock_skew",
    "rotate_secret",
    "no_token",
    "lost_response",
    "hold",
    "hold_call",
    "lost_task",
    "duplicate_task",
    "restart_gateway",
]
FaultSide = Literal["delivery", "api", "task"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

DeliveryState = Literal["waiting", "calling", "delivered", "failed", "cancelled"]
EntryKind = Literal[
    "change",
    "event",
    "attempt_started",
    "attempt_finished",
    "api_call",
    "message",
    "clock",
    "fault",
    "hold",
    "reset",
    "task",
]

# What a task of an extension ends with.
TaskResult = Literal["success", "fail", "skip", "reschedule", "retry", "lost"]

ObjectClass = Literal[
    "fulfillment_request",
    "tier_config_request",
    "tier_account_request",
    "listing_request",
    "billing_request",
    "usage_file",
]
WebhookType = Literal[
    "event",
    "validator",
    "inquiring_validator",
    "change_validator",
    "change_inquiring_validator",
    "renew_validator",
    "renew_inquiring_validator",
    "transfer_validator",
    "transfer_inquiring_validator",
    "draft_tcr_t1_val",
    "draft_tcr_t2_val",
    "tcr_setup_t1_inq_val",
    "tcr_setup_t2_inq_val",
    "tcr_update_t1_validator",
    "tcr_update_t2_validator",
    "tcr_update_t1_inq_val",
    "tcr_update_t2_inq_val",
]
WebhookMethod = Literal["POST", "GET"]

Account = Literal["vendor", "provider", "distributor"]
BillingType = Literal["vendor", "provider"]
TierName = Literal["customer", "tier1", "tier2"]
ListingType = Literal["new", "update", "remove"]
