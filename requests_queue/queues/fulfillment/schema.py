"""The types of fulfillment requests and subscriptions in the OpenAPI document."""

from typing import Any, Literal, NotRequired, Required, TypedDict

from requests_queue.catalog.schema import (
    Asset,
    AssetInRequest,
    ContactInfo,
    ContractReference,
    GivenParameter,
)
from requests_queue.schema import (
    MARKDOWN,
    Answer,
    AnyReference,
    Documented,
    Free,
    GivenDate,
    Id,
    Made,
    Nothing,
    Person,
    Pictured,
    Reason,
    Stamp,
    Uri,
)

Type = Literal[
    "purchase", "change", "suspend", "resume", "cancel", "adjustment", "renew", "transfer"
]
Status = Literal[
    "draft", "tiers_setup", "pending", "inquiring", "approved", "failed", "scheduled", "revoking",
    "revoked",
]  # fmt: skip


class TemplateMessage(TypedDict):
    """The text that the customer gets; `message` is Markdown."""

    id: str
    name: str
    message: str


class Request(TypedDict):
    """A fulfillment request: what the distributor wants of a subscription."""

    id: str
    type: Type
    status: Status
    note: str
    reason: str
    created: Stamp
    updated: Stamp
    answered: bool
    assignee: Person | Nothing
    activation_key: str
    external_attributes: Any
    marketplace: Pictured
    contract: ContractReference
    asset: AssetInRequest
    template: NotRequired[TemplateMessage]
    params_form_url: NotRequired[Uri]
    planned_date: NotRequired[Stamp]
    effective_date: NotRequired[Stamp]
    previous_approved_request: NotRequired[Id]


class RequestOfAsset(TypedDict):
    """A request, as its subscription lists it."""

    id: str
    type: Type
    status: Status
    events: Made
    assignee: AnyReference


class GivenItem(TypedDict, total=False):
    """An item by `global_id`, `id` or `mpn`, and how many of it: a number, or one in a string."""

    id: str
    global_id: str
    mpn: str
    quantity: Any


class GivenTier(TypedDict, total=False):
    """A customer or a reseller by `id`, or as a whole; known ones are found by `external_uid`."""

    id: str
    name: str
    external_id: str
    external_uid: str
    tax_id: str
    contact_info: ContactInfo


class GivenTiers(TypedDict, total=False):
    """Who buys, and through whom."""

    customer: GivenTier
    tier1: GivenTier
    tier2: GivenTier


class GivenAsset(TypedDict, total=False):
    """The subscription that an order is about: a new one, or one by `id`."""

    id: str
    external_id: str
    external_uid: str
    product: Id
    connection: Id
    items: list[GivenItem]
    params: list[GivenParameter]
    tiers: GivenTiers


class RequestCreate(TypedDict, total=False):
    """An order. A purchase names connection, items and tiers; the others a subscription."""

    type: Required[Type]
    asset: Required[GivenAsset]
    status: str
    marketplace: Id
    note: str
    planned_date: GivenDate
    external_attributes: Free


class RequestUpdate(TypedDict, total=False):
    """What changes: note and parameters, of a draft the whole order."""

    note: str
    asset: GivenAsset


class Approve(TypedDict, total=False):
    """What the customer gets: a template, or a text."""

    template_id: str | None
    activation_tile: str | None
    effective_date: GivenDate | None


class Inquire(TypedDict, total=False):
    """What the customer is asked with."""

    template_id: str | None
    activation_tile: str | None


class PendAsset(TypedDict, total=False):
    """The answers."""

    params: list[GivenParameter]


class Pend(TypedDict, total=False):
    """The answers to an inquiry."""

    asset: PendAsset


class Schedule(TypedDict):
    """When to work on the request."""

    planned_date: GivenDate


REQUESTS = Documented(
    "Fulfillment requests", "request", Request,
    bodies={
        "create": RequestCreate, "update": RequestUpdate, "approve": Approve, "inquire": Inquire,
        "pend": Pend, "validate": RequestUpdate, "fail": Reason, "revoke": Reason,
        "schedule": Schedule,
    },
    answers={"render": MARKDOWN},
)  # fmt: skip
ASSETS = Documented(
    "Subscriptions", "subscription", Asset,
    answers={"requests": Answer(200, list[RequestOfAsset]), "render": MARKDOWN},
)  # fmt: skip
RENDERED_TEMPLATES = Documented(
    "Fulfillment requests", "template", answers={"with_request": MARKDOWN},
    queries={"with_request": {"request_id": "The request that fills the template."}},
)  # fmt: skip
