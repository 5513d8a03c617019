"""Fulfillment requests and subscriptions: `GET /requests/{id}` and `GET /assets/{id}`.

Also the texts that a customer reads: `GET /requests/{id}/render` and `GET /assets/{id}/render`.
Keys that Connect's document lacks are from objects that published clients captured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypedDict

from django.db.models import Prefetch

from requests_queue.api.filter_tables import parts
from requests_queue.api.inside_json import inside_json
from requests_queue.api.rendering import render
from requests_queue.api.resources import MADE, NAMED, Constant, Field, Part, Resource, absent
from requests_queue.api.schema import Json, Nothing, Person, Stamp, Uri
from requests_queue.catalog import templates
from requests_queue.catalog.configured_values import of_product, with_values
from requests_queue.catalog.models import Asset, Template
from requests_queue.catalog.representations import PERSON, PICTURED
from requests_queue.catalog.representations.orders import (
    CONFIGURATION,
    CONNECTION,
    CONTRACT,
    PREVIOUS,
    PRODUCT,
    TIERS,
)
from requests_queue.catalog.schema import AssetStatus, ChangedItem, OrderedItem, ParameterValue
from requests_queue.queues.fulfillment.effects import HANDS_OVER
from requests_queue.queues.fulfillment.models import OPEN, Request
from requests_queue.queues.inquiries import form_url

Type = Literal[
    "purchase", "change", "suspend", "resume", "cancel", "adjustment", "renew", "transfer"
]
Status = Literal[
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


class TemplateMessage(TypedDict):
    """The text that the customer gets; `message` is Markdown."""

    id: str
    name: str
    message: str


_ASSET: dict[str, Any] = {
    "id": str,
    "status": AssetStatus,
    "external_id": str,
    "external_uid": str,
    "product": Field(PRODUCT),
    "connection": Field(CONNECTION),
    "events": MADE,
    "items": Field(list[OrderedItem], lambda row: _with_values(row, map(_current, row.items))),
    "params": Field(list[ParameterValue], unfiltered=True),
    "tiers": TIERS,
    "configuration": CONFIGURATION,
    "marketplace": Field(PICTURED),
    "contract": Field(CONTRACT),
}
_INSIDE_ASSET = ("configuration.params", "tiers.customer", "tiers.tier1")


def _with_values(asset: Asset, items: Any) -> list[Json]:
    return with_values(list(items), of_product(asset.product, asset.marketplace_id)[1])


def _current(item: Json) -> Json:
    """Return an item without the quantity before the last request."""
    return {key: value for key, value in item.items() if key != "old_quantity"}


def template_of(row: Request) -> Template | None:
    """Return the template that a request carries in its status."""
    return templates.shown(row.status, row.template, row.asset.product, "asset")


def pending_requests() -> Prefetch[Any]:
    """Return the prefetch of subscriptions' open requests, to show as `PENDING_REQUEST`.

    Their products need `templates.prefetch`.
    """
    rows = Request.objects.filter(status__in=OPEN).select_related("template")
    return Prefetch("requests", rows, to_attr="open_requests")


PENDING_REQUEST = Field(
    Part(
        "PendingRequest",
        "The open fulfillment request of a subscription.",
        {
            "id": str,
            "type": Type,
            "status": Status,
            "template": Field(NAMED, template_of, optional=True),
        },
    ),
    lambda row: next(iter(getattr(row, "open_requests", ())), None),
    optional=True,
)
ASSET = Resource(
    "Asset",
    "A subscription.",
    {
        **_ASSET,
        "template": Field(replace(NAMED, named=("id",)), optional=True),
        # Prefetched where `select` names it.
        "pending_request": PENDING_REQUEST,
    },
    model=Asset,
    also={
        "created": "created",
        "updated": "updated",
        "hub.id": "connection__hub__id",
        "hub.name": "connection__hub__name",
        "product.title": "product__name",
    },
    custom=[
        *inside_json(Asset, "params", {"params.id": "id", "params.value": "value"}),
        *parts("pending_request", "pending_request.template", hidden=True),
    ],
)


def _ordered(row: Request) -> Asset:
    """Return the asset of a request, which knows the items and parameters that are shown."""
    # Not the request: a cycle would keep the rows of a page until garbage is collected.
    row.asset.ordered = {"items": row.items, "params": row.params}  # type: ignore[attr-defined]
    return row.asset


REQUEST = Resource(
    "Request",
    "A fulfillment request: what the distributor wants of a subscription.",
    {
        "id": str,
        "type": Type,
        "status": Status,
        "note": str,
        "reason": str,
        "created": Stamp,
        "updated": Stamp,
        "answered": bool,
        "assignee": Field(
            Person | Nothing, lambda row: PERSON.represent(row.assignee) if row.assignee else ""
        ),
        # Filled by `request`, as it is rendered with the other keys.
        "activation_key": Constant("", str, unfiltered=True),
        "external_attributes": Field(Any, unfiltered=True),
        # A request is sold where its asset is.
        "marketplace": Field(PICTURED, "asset.marketplace"),
        "contract": Field(CONTRACT, "asset.contract"),
        "asset": Field(
            Part(
                "AssetInRequest",
                "A subscription as its request would have it.",
                {
                    **_ASSET,
                    "items": Field(
                        list[ChangedItem], lambda row: _with_values(row, row.ordered["items"])
                    ),
                    "params": Field(
                        list[ParameterValue], lambda row: row.ordered["params"], unfiltered=True
                    ),
                },
            ),
            _ordered,
        ),
        "params_form_url": Field(Uri, lambda row: form_url(row) or None, optional=True),
        "planned_date": Field(Stamp, optional=True),
        "effective_date": Field(Stamp, optional=True),
        "previous_approved_request": PREVIOUS,
        # Added by `request`.
        "template": Field(TemplateMessage, lambda row: None, optional=True),
    },
    model=Request,
    search=("id",),
    also={
        "product_id": "product__id",
        "asset_id": "asset__id",
        "assignee": "assignee__uid",
        "assignee.id": "assignee__uid",
        "assignee.email": "assignee__email",
        "marketplace.id": "marketplace__id",
        "marketplace.name": "marketplace__name",
        "contract.id": "contract__id",
        **{
            f"asset.{name}": f"asset__{route}"
            for name, route in ASSET.routes.items()
            if not name.startswith(
                ("created", "updated", "events.", "hub.", "template.", "product.")
            )
        },
        # The request's own product is always its asset's.
        "asset.product.id": "product__id",
        "asset.product.name": "product__name",
        "asset.connection.environment": "asset__connection__type",
        "asset.external.id": "asset__external_id",
        "asset.tiers.tier2": "asset__tier2__id",
        "asset.tier1_id": "asset__tier1__id",
        "asset.tier2_id": "asset__tier2__id",
        "asset.account_id": "asset__customer__id",
        "asset.hub.id": "asset__connection__hub__id",
        "asset.hub.name": "asset__connection__hub__name",
        "template.id": Field(str, "template_shown"),
        **absent("sli.days", "sli.zone", type=int | None),
    },
    custom=[
        *inside_json(Request, "params", {"asset.params.id": "id", "asset.params.value": "value"}),
        *parts(
            *(
                f"asset.{name}"
                for name in ("items", "params", "configuration", "events", *_INSIDE_ASSET)
            )
        ),
        *parts("asset.product.capabilities", hidden=True),
    ],
)
REQUEST_OF_ASSET = Part(
    "RequestOfAsset",
    "A request, as its subscription lists it.",
    {
        "id": str,
        "type": Type,
        "status": Status,
        "events": MADE,
        "assignee": Field(replace(NAMED, keys={"id": Field(str, "uid"), "name": str}), empty={}),
    },
)


def request(row: Request) -> Json:
    """Return a request as `GET /requests/{id}` has it, with what the customer reads."""
    shown = REQUEST.represent(row)
    # The object's own values fill in its texts.
    if row.activation_key:
        shown["activation_key"] = render(row.activation_key, _values(shown))
    template = template_of(row)
    if template is None:
        return shown
    # An approval keeps the text that it gave; an inquiry may have one in place of a template.
    kept = row.status == "approved" or (row.status == "inquiring" and row.template is None)
    message = shown["activation_key"] if kept else ""
    shown["template"] = {
        "id": template.id,
        "name": template.name,
        "message": message or render(template.body, _values(shown)),
    }
    return shown


def _values(shown: Json) -> Json:
    """Return what the placeholders of a request's templates are looked up in."""
    return {"request": shown, "asset": shown["asset"]}


def text_of_request(row: Request) -> str:
    """Return the text of a request in its current status; empty for a draft or one that failed.

    Which template is used in which status is an assumption (docs/fidelity.md).
    """
    if row.status in ("draft", "failed", "revoked"):
        return ""
    shown = request(row)
    if row.status != "approved" and "template" in shown:
        return str(shown["template"]["message"])
    if row.status in ("approved", "inquiring"):
        return str(shown["activation_key"])
    template = templates.default(row.asset.product, "asset", "pending")
    return render(template.body, _values(shown)) if template else ""


def text_of_asset(row: Asset) -> str:
    """Return the text of a subscription's last approved request, or else of its open one."""
    requests = row.requests.filter(status="approved", type__in=HANDS_OVER)
    approved = requests.order_by("-pk").first()
    if approved is None:
        order = row.requests.filter(status__in=OPEN).first()
        return text_of_request(order) if order else ""
    values = {"request": request(approved), "asset": ASSET.represent(row)}
    return render(approved.activation_key, values)


def text_of_template(template: Template, row: Request) -> str:
    """Return the text of a request rendered from any template."""
    return render(template.body, _values(request(row)))
