"""What a product and what it is made of look like in the API.

Keys and words are those of Connect's OpenAPI document and of objects that CloudBlue's command
line tool captured; a key that the document demands is there even where we have nothing to say.
"""

from __future__ import annotations

import re
from typing import Any

from django.db.models import Q
from django.utils.crypto import salted_hmac

from requests_queue.catalog.models import (
    Configuration,
    Item,
    Parameter,
    Product,
    ProductAction,
    ProductMedia,
    Template,
)
from requests_queue.catalog.representations import account_ref, icon, marketplace_ref, product_ref
from requests_queue.resources import event_at, format_datetime
from requests_queue.schema import Json

_OFF: Json = {
    "ppu": None,
    "reservation": {"consumption": False},
    "cart": {"validation": False},
    "inquiring": {"validation": False},
    "tiers": {"updates": False, "configs": None, "validation": False},
    "subscription": {"hold": False, "schema": "explicit"},
}


def capabilities(given: Json) -> Json:
    """Return a product's capabilities, with those that it doesn't name switched off.

    Connect says null for a branch that is off; its switch is only written, never read.
    """
    found = {
        **_OFF,
        **{
            branch: {**(_OFF.get(branch) or {}), **value} if isinstance(value, dict) else value
            for branch, value in given.items()
        },
    }
    found["ppu"] = _branch(found["ppu"], "ppu")
    found["tiers"] = {**found["tiers"], "configs": _branch(found["tiers"]["configs"], "configs")}
    return found


def _branch(value: Any, switch: str) -> Json | None:
    if not isinstance(value, dict) or not value.get(switch, bool(value)):
        return None
    return {key: inner for key, inner in value.items() if key != switch}


def product(row: Any) -> Json:
    """Return a product as `GET /products/{id}` has it, as the view annotated it."""
    # The document demands a category's name: a product without one has no such key.
    category = {"category": row.category} if row.category else {}
    return {
        **category,
        "id": row.id,
        "name": row.name,
        "external_id": row.external_id,
        "icon": icon(row),
        "status": row.status,
        "short_description": row.short_description,
        "detailed_description": row.detailed_description,
        "configurations": {
            "suspend_resume_supported": bool(row.capability("subscription.hold")),
            "requires_reseller_information": True,
        },
        "customer_ui_settings": row.customer_ui_settings,
        "version": row.version,
        "published_at": format_datetime(row.published),
        "owner": account_ref(row.owner),
        "latest": True,
        "stats": {"versions": row.version},
        "capabilities": capabilities(row.capabilities),
        "visibility": {
            "owner": row.seen_by_owner,
            "listing": row.seen_by_listing,
            "syndication": row.seen_by_syndication,
            "catalog": row.seen_by_catalog,
        },
        "changes_description": "",
        "public": row.published is not None,
        "staging": False,
        "events": _events(row, published=row.published),
        "purchase_model": row.purchase_model,
        **_off_sale(row),
    }


def _off_sale(row: Product) -> Json:
    if row.status != "endofsale":
        return {}
    found: Json = {"end_of_sale_notes": row.end_of_sale_notes}
    if row.replacement:
        found["replacement"] = {**product_ref(row.replacement), "status": row.replacement.status}
    return found


def _events(row: Any, **more: Any) -> Json:
    moments = {"created": row.created, **more, "updated": row.updated}
    return {name: event_at(moment) for name, moment in moments.items() if moment is not None}


def item(row: Item) -> Json:
    """Return an item as `GET /products/{id}/items/{id}` has it: its words written small."""
    title = row.unit.get("title", "")
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "external_id": row.external_id,
        "unit": {"name": title, "title": title, "unit": row.unit.get("id", ""), **row.unit},
        "mpn": row.mpn,
        "position": row.position,
        "type": row.type.lower(),
        "local_id": row.local_id,
        "display_name": row.name,
        "period": row.period.lower(),
        "precision": row.precision.lower(),
        "commitment": {"multiplier": "billing_period", "count": row.commitment},
        "dynamic": row.dynamic,
        "description": row.description,
        "parent": {},
        "depth": 0,
        "replacement": _replacement(row),
        "end_of_sale_notes": row.end_of_sale_notes,
        "group": {"name": row.name, "mpn": row.mpn},
        "ui": {"visibility": row.visible},
        "events": _events(row, saleended=row.sale_ended),
    }


def _replacement(row: Item) -> Json:
    new = row.replacement
    return {"id": new.id, "name": new.name, "status": new.status} if new else {}


def parameter_id(row: Parameter) -> str:
    """Return a parameter's id, `PRM-ddd-ddd-ddd-dddd`; `name` is what assets call it."""
    return f"PRM-{row.product_id.partition('-')[2]}-{row.pk:04d}"


def parameter_by_id(given: str) -> Q:
    """Return the condition that a parameter has this id, or this name."""
    match = re.fullmatch(r"PRM-(\d{3}-\d{3}-\d{3})-(\d{4,18})", given)
    if match is None:
        return Q(name=given)
    return Q(pk=int(match[2]), product=f"PRD-{match[1]}")


def parameter(row: Parameter) -> Json:
    """Return a parameter as `GET /products/{id}/parameters/{id}` has it."""
    found: Json = {
        "id": parameter_id(row),
        "name": row.name,
        "title": row.title,
        "description": row.description,
        "type": row.type,
        "scope": row.scope,
        "phase": row.phase,
        "hint": row.hint,
        "placeholder": row.placeholder,
        "constraints": {
            "required": False, "hidden": False, "unique": False, "reconciliation": False,
            **row.constraints,
        },
        "position": row.position,
        "events": _events(row),
    }  # fmt: skip
    choices = row.constraints.get("choices")
    if choices and isinstance(row.default, str):
        # Of choices the default is a mark on one of them.
        found["constraints"]["choices"] = [
            {**c, "default": True} if c["value"] == row.default else c for c in choices
        ]
    elif row.default is not None:
        found["default"] = row.default
    return found


def configuration(row: Configuration) -> Json:
    """Return a configured value as `GET /products/{id}/configurations` has it."""
    about = parameter(row.parameter)
    found: Json = {
        "value": row.value,
        "structured_value": row.structured_value or {},
        "parameter": {k: v for k, v in about.items() if k not in ("position", "events")},
        "events": _events(row),
    }
    if row.item:
        found["item"] = {"id": row.item.id, "name": row.item.name}
    if row.marketplace:
        found["marketplace"] = marketplace_ref(row.marketplace)
    return found


def action(row: ProductAction) -> Json:
    """Return an action as `GET /products/{id}/actions/{id}` has it."""
    return {
        "id": row.id,
        "action": row.action,
        "name": row.name,
        "title": row.title,
        "type": row.type,
        "scope": row.scope,
        "description": row.description,
        "url": row.url,
        "events": _events(row),
    }


def media(row: ProductMedia) -> Json:
    """Return a picture or a video as `GET /products/{id}/media/{id}` has it."""
    return {
        "id": row.id,
        "position": row.position,
        "type": row.type,
        "thumbnail": thumbnail(row),
        # Of a picture, where the picture is.
        "url": row.url or thumbnail(row),
    }


def thumbnail(row: ProductMedia) -> str:
    """Return the path of a picture, as Connect has it: relative to the host."""
    ending = row.content_type.rpartition("/")[2]
    return f"/media/product_media/{row.pk}/{thumbnail_key(row)}/{row.pk}.{ending}"


def thumbnail_key(row: ProductMedia) -> str:
    """Return what opens a picture: whoever is shown the product, and nobody by guessing.

    Browsers and connect-cli fetch pictures without an API key; a new picture has a new address.
    """
    return salted_hmac("catalog.media", f"{row.pk}/{row.revision}").hexdigest()[:16]


def template(row: Template) -> Json:
    """Return a template as `GET /products/{id}/templates/{id}` has it."""
    return {
        "id": row.id,
        "title": row.title or row.name,
        "name": row.name,
        "body": row.body,
        "scope": row.scope,
        "type": row.type,
        "position": row.position,
        "events": _events(row),
    }
