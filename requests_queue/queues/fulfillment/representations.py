"""What a fulfillment request and its asset look like in the API.

`GET /requests/{id}` and `GET /assets/{id}` of Connect's OpenAPI document; keys that the document
lacks are from objects that published clients captured.
"""

from __future__ import annotations

from requests_queue.catalog import templates
from requests_queue.catalog.configured_values import of_product, with_values
from requests_queue.catalog.models import Asset, Template
from requests_queue.catalog.representations import (
    connection_in_asset,
    icon,
    marketplace_ref,
    person,
    tier,
)
from requests_queue.queues.fulfillment.effects import form_url
from requests_queue.queues.fulfillment.models import Request
from requests_queue.rendering import render
from requests_queue.resources import event_at, format_datetime
from requests_queue.schema import Json


def asset_core(asset: Asset, items: list[Json], params: list[Json]) -> Json:
    """Return what requests and subscriptions have in common of an asset."""
    product = asset.product
    configured, of_items = of_product(product, asset.marketplace_id)
    return {
        "id": asset.id,
        "status": asset.status,
        "external_id": asset.external_id,
        "external_uid": asset.external_uid,
        "product": {
            "id": product.id,
            "name": product.name,
            "icon": icon(product),
            "status": product.status,
        },
        "connection": connection_in_asset(asset.connection),
        "events": {"created": event_at(asset.created), "updated": event_at(asset.updated)},
        "items": with_values(items, of_items),
        "params": params,
        "tiers": {
            "customer": tier(asset.customer),
            "tier1": tier(asset.tier1),
            "tier2": tier(asset.tier2),
        },
        "configuration": {"params": configured},
        "marketplace": marketplace_ref(asset.marketplace),
        "contract": {
            "id": asset.contract_id, "type": asset.contract.type, "name": asset.contract.name,
        },
    }  # fmt: skip


def request(row: Request) -> Json:
    """Return a request as `GET /requests/{id}` has it."""
    asset = asset_core(row.asset, row.items, row.params)
    found: Json = {
        "id": row.id,
        "type": row.type,
        "status": row.status,
        "note": row.note,
        "reason": row.reason,
        "created": format_datetime(row.created),
        "updated": format_datetime(row.updated),
        "answered": row.answered,
        "assignee": person(row.assignee) if row.assignee else "",
        "activation_key": "",
        "external_attributes": row.external_attributes,
        # A request is sold where its asset is; copies, for `select` cuts each by itself.
        "marketplace": {**asset["marketplace"]},
        "contract": {**asset["contract"]},
        "asset": asset,
    }
    if row.status == "inquiring":
        found["params_form_url"] = form_url(row)
    if row.planned_date:
        found["planned_date"] = format_datetime(row.planned_date)
    if row.effective_date:
        found["effective_date"] = format_datetime(row.effective_date)
    if row.previous_approved_request_id:
        found["previous_approved_request"] = {"id": row.previous_approved_request_id}
    return _with_texts(found, row)


def values(shown: Json) -> Json:
    """Return what the placeholders of a request's templates are looked up in."""
    return {"request": shown, "asset": shown["asset"]}


def template_of(row: Request) -> Template | None:
    """Return the template that a request carries in its status."""
    return templates.shown(row.status, row.template, row.asset.product, "asset")


def _with_texts(found: Json, row: Request) -> Json:
    """Add what the customer reads, which the object's own values fill in."""
    if row.activation_key:
        found["activation_key"] = render(row.activation_key, values(found))
    template = template_of(row)
    if template is None:
        return found
    # An approval keeps the text that it gave; an inquiry may have one in place of a template.
    kept = row.status == "approved" or (row.status == "inquiring" and row.template is None)
    message = found["activation_key"] if kept else ""
    found["template"] = {
        "id": template.id, "name": template.name,
        "message": message or render(template.body, values(found)),
    }  # fmt: skip
    return found


def subscription(row: Asset) -> Json:
    """Return an asset as `GET /assets/{id}` has it; its items without what was held before."""
    items = [{k: v for k, v in item.items() if k != "old_quantity"} for item in row.items]
    found = asset_core(row, items, row.params)
    if row.template:
        found["template"] = {"id": row.template.id, "name": row.template.name}
    return found


def in_list_of_asset(row: Request) -> Json:
    """Return a request as `GET /assets/{id}/requests` lists it."""
    return {
        "id": row.id,
        "type": row.type,
        "status": row.status,
        "events": {"created": event_at(row.created), "updated": event_at(row.updated)},
        "assignee": {"id": row.assignee.uid, "name": row.assignee.name} if row.assignee else {},
    }
