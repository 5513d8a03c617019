"""The event types of extensions, as data; knows no Django.

Their names, categories and endpoints are those of `connect-eaas-core` and of the published
extensions; the filters are ours, in the form that the published runner fills in: `${_object_id_}`
and `${_statuses_}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

PRODUCT, USAGE_CHUNK = "product", "usage_chunk"
INSTALLATION_CHANGE = "installation_status_change"
CATEGORIES = BACKGROUND, INTERACTIVE, SCHEDULED = "background", "interactive", "scheduled"

_REQUEST_STATUSES = (
    "draft",
    "tiers_setup",
    "pending",
    "inquiring",
    "scheduled",
    "revoking",
    "revoked",
    "approved",
    "failed",
)
_TIER_STATUSES = ("tiers_setup", "pending", "inquiring", "approved", "failed")


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type.

    A change of an object of `object_class` and `request_type` (empty: any) into a status that an
    extension subscribes to is a task. `collection` is where the runner finds the object, and
    `status_field` what it filters the statuses by.
    """

    type: str
    name: str
    group: str
    category: str = BACKGROUND
    object_class: str = ""
    request_type: str = ""
    collection: str = ""
    statuses: tuple[str, ...] = ()
    status_field: str = "status"

    @property
    def resource(self) -> str:
        """The path of one object, with `{pk}`."""
        return f"{self.collection}/{{pk}}"

    @property
    def filter(self) -> str:
        """The RQL filter by which the runner sees whether the object still is as subscribed."""
        return f"and(eq(id,${{_object_id_}}),in({self.status_field},${{_statuses_}}))"


def _fulfillment(kind: str) -> EventType:
    return EventType(
        f"asset_{kind}_request_processing",
        f"Subscription {kind} request",
        "Fulfillment",
        object_class="fulfillment_request",
        request_type="adjustment" if kind == "adjustment" else kind,
        collection="requests",
        statuses=_REQUEST_STATUSES,
    )


def _tier_config(kind: str, request_type: str) -> EventType:
    return EventType(
        f"tier_config_{kind}_request_processing",
        f"Tier configuration {kind} request",
        "Tier configuration",
        object_class="tier_config_request",
        request_type=request_type,
        collection="tier/config-requests",
        statuses=_TIER_STATUSES,
    )


def _listing(kind: str) -> EventType:
    return EventType(
        f"listing_{kind}_request_processing",
        f"Listing {kind} request",
        "Listing",
        object_class="listing_request",
        request_type=kind,
        collection="listing-requests",
        statuses=("draft", "reviewing", "deploying", "completed", "canceled"),
        status_field="state",
    )


def _validation(prefix: str, kind: str, object_class: str, request_type: str) -> EventType:
    return EventType(
        f"{prefix}_{kind}_request_validation",
        f"Validation of a {kind} request",
        "Fulfillment" if prefix == "asset" else "Tier configuration",
        INTERACTIVE,
        object_class=object_class,
        request_type=request_type,
        statuses=("draft", "inquiring"),
    )


_ALL = (
    *(
        _fulfillment(kind)
        for kind in (
            "purchase",
            "change",
            "suspend",
            "resume",
            "renew",
            "transfer",
            "cancel",
            "adjustment",
        )
    ),
    _tier_config("setup", "setup"),
    _tier_config("change", "update"),
    _tier_config("adjustment", "adjustment"),
    EventType(
        "tier_account_update_request_processing",
        "Tier account update request",
        "Tier account",
        object_class="tier_account_request",
        collection="tier/account-requests",
        statuses=("pending", "accepted", "ignored"),
    ),
    EventType(
        "usage_file_request_processing",
        "Usage file",
        "Usage",
        object_class="usage_file",
        collection="usage/files",
        statuses=(
            "draft",
            "uploading",
            "uploaded",
            "invalid",
            "processing",
            "processed",
            "ready",
            "rejected",
            "pending",
            "accepted",
            "closed",
        ),
    ),
    EventType(
        "part_usage_file_request_processing",
        "Chunk of a usage file",
        "Usage",
        object_class=USAGE_CHUNK,
        collection="usage/chunks",
        statuses=("draft", "ready", "closed", "failed"),
    ),
    _listing("new"),
    _listing("remove"),
    replace(_listing(""), type="listing_request_processing", name="Listing request"),
    EventType(
        "product_changed",
        "Product",
        "Product",
        object_class=PRODUCT,
        collection="products",
        statuses=(
            "draft",
            "indevelopment",
            "oncertification",
            "published",
            "initializationfailed",
            "endofsale",
            "deleted",
        ),
    ),
    EventType(
        INSTALLATION_CHANGE,
        "Installation",
        "Installation",
        collection="devops/installations",
        statuses=("installed", "uninstalled"),
    ),
    EventType(
        "helpdesk_case_processing",
        "Helpdesk case",
        "Helpdesk",
        object_class="helpdesk_case",
        collection="helpdesk/cases",
        statuses=("pending", "inquiring", "resolved", "closed"),
        status_field="state",
    ),
    *(
        _validation("asset", kind, "fulfillment_request", kind)
        for kind in ("purchase", "change", "renew", "transfer")
    ),
    _validation("tier_config", "setup", "tier_config_request", "setup"),
    _validation("tier_config", "change", "tier_config_request", "update"),
    EventType("product_action_execution", "Action of a product", "Product", INTERACTIVE),
    # Not sent; the runner refuses to start extensions that subscribe to what isn't listed.
    EventType("product_custom_event_processing", "Custom event", "Product", INTERACTIVE),
    EventType("scheduled_execution", "Scheduled execution", "Schedule", SCHEDULED),
)
EVENT_TYPES: Mapping[str, EventType] = {each.type: each for each in _ALL}


def matching(object_class: str, request_type: str) -> list[EventType]:
    """Return the background event types of an object's changes."""
    return [
        each
        for each in _ALL
        if each.category == BACKGROUND
        and each.object_class == object_class
        and each.request_type in ("", request_type)
    ]


def validation(object_class: str, request_type: str) -> EventType | None:
    """Return the event type that validates a kind of request, None where there is none."""
    about = (INTERACTIVE, object_class, request_type)
    matches = (
        each for each in _ALL if (each.category, each.object_class, each.request_type) == about
    )
    return next(matches, None)
