"""The types of fulfillment requests and subscriptions in the OpenAPI document."""

from typing import Any, Literal, NotRequired, TypedDict

from requests_queue.catalog.schema import (
    Asset,
    AssetInRequest,
    ContractReference,
)
from requests_queue.schema import (
    MARKDOWN,
    Answer,
    AnyReference,
    Documented,
    Id,
    Made,
    Nothing,
    Person,
    Pictured,
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


REQUESTS = Documented(
    "Fulfillment requests", "request", Request,
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
