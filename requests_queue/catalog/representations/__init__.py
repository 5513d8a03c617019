"""What the objects of the catalogue look like in the API, whole and as references."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.utils.crypto import salted_hmac

from requests_queue.catalog.models import (
    Account,
    Connection,
    Hub,
    Marketplace,
    Product,
    TierAccount,
    User,
)
from requests_queue.resources import Field, Part, event_at, format_datetime
from requests_queue.schema import Json

# One sandbox is one database; the document demands its region.
REGION = "EU"
# What a user is; the document has no list of words.
ACTIVE, DISABLED = "active", "disabled"


def icon(row: Any) -> str:
    """Return the path of an object's picture, as Connect has it: relative to the host."""
    model = str(row._meta.model_name)
    return f"/media/{model}/{row.pk}/{icon_key(model, str(row.pk))}/icon.svg"


@lru_cache(maxsize=4096)
def icon_key(model: str, pk: str) -> str:
    """Return what opens an object's picture: whoever is shown the object, and nobody by guessing.

    Browsers and reports fetch pictures without an API key, and a picture tells the name.
    """
    return salted_hmac("catalog.icon", f"{model}/{pk}").hexdigest()[:16]


PICTURED = Part(
    "Pictured", "A reference to an object that has a picture; its path is relative to the host.",
    {"id": str, "name": str, "icon": Field(str, icon)},
)  # fmt: skip


def person(user: User) -> Json:
    """Return a user as `{id, name, email}`."""
    return {"id": user.uid, "name": user.name, "email": user.email}


def company(account: Account) -> Json:
    """Return an account as a reference."""
    return {"id": account.id, "name": account.name}


def marketplace_ref(row: Marketplace) -> Json:
    """Return a marketplace as a reference."""
    return {"id": row.id, "name": row.name, "icon": icon(row)}


def connection_in_asset(row: Connection) -> Json:
    """Return a connection as assets show it."""
    return {
        "id": row.public_id,
        "type": row.type,
        "status": row.status,
        "provider": company(row.provider),
        "vendor": company(row.vendor),
        "hub": {"id": row.hub_id, "name": row.hub.name},
        "created_at": format_datetime(row.created),
    }


def tier(row: TierAccount | None) -> Json:
    """Return a tier account as requests show it; an empty tier is `{}`."""
    if row is None:
        return {}
    return {
        "id": row.id,
        "version": row.version,
        "name": row.name,
        "type": row.type,
        "external_id": row.external_id,
        "external_uid": row.external_uid,
        "tax_id": row.tax_id,
        "environment": row.environment,
        "contact_info": row.contact_info,
    }


def product_ref(row: Product) -> Json:
    """Return a product as webhooks show it."""
    return {"id": row.id, "name": row.name, "icon": icon(row)}


def account_ref(row: Account) -> Json:
    """Return an account as the catalogue refers to it."""
    return {"id": row.id, "name": row.name, "icon": icon(row)}


def account(row: Account) -> Json:
    """Return an account as `GET /accounts/{id}` has it."""
    return {
        "id": row.id,
        "name": row.name,
        "icon": icon(row),
        "description": row.description,
        "type": row.type,
        "role": row.role,
        "brand": row.brand,
        "external_id": row.external_id,
        "events": {"created": event_at(row.created)},
    }


def account_user(row: User) -> Json:
    """Return a user as `GET /accounts/{id}/users/{id}` has it.

    Nobody is invited or signs terms here: a user is active from the moment of its creation.
    """
    moments = {"created": row.date_joined, "activated": row.date_joined}
    found: Json = {
        "id": row.uid,
        "name": row.name,
        "active": row.is_active,
        "status": ACTIVE if row.is_active else DISABLED,
        "events": {name: event_at(at) for name, at in moments.items()},
    }
    # The document has an address in it, or no such key.
    return {**found, "email": row.email} if row.email else found


def hub_ref(row: Hub) -> Json:
    """Return a hub as a reference."""
    return {"id": row.id, "name": row.name}


def _instance(row: Hub) -> Json:
    return {"id": row.instance_id, "type": row.instance_type}


def connection(row: Connection) -> Json:
    """Return a connection as `GET /products/{id}/connections/{id}` has it."""
    return {
        "id": row.public_id,
        "type": row.type,
        "status": row.status,
        "provider": account_ref(row.provider),
        "vendor": account_ref(row.vendor),
        "created_at": format_datetime(row.created),
        "hub": {**hub_ref(row.hub), "instance": _instance(row.hub)},
        "events": {"created": event_at(row.created)},
    }


def marketplace(row: Any) -> Json:
    """Return a marketplace as `GET /marketplaces/{id}` has it, counted by the view."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "owner": account_ref(row.owner),
        "icon": icon(row),
        "zone": row.zone,
        "hubs": [{"hub": hub_ref(hub), "external_id": ""} for hub in row.hubs.all()],
        "active_contracts": row.active_contract_count,
        "countries": row.countries,
        "currency": row.currency,
        "stats": {"hubs": row.hub_count, "contracts": row.contract_count},
        "events": {"created": event_at(row.created)},
    }


def tier_account(row: Any) -> Json:
    """Return a tier account as `GET /tier/accounts/{id}` has it, with the view's annotations."""
    standing = (
        ("customer", row.as_customer), ("tier1", row.as_tier1), ("tier2", row.as_tier2),
    )  # fmt: skip
    moments = {"created": row.created, "updated": row.updated}
    if row.decommissioned:
        moments["decommissioned"] = row.decommissioned
    found = {
        **tier(row),
        "db": REGION,
        "parent": _parent(row.parent),
        "owner": account_ref(row.owner),
        "scopes": [scope for scope, stands in standing if stands],
        "events": {name: event_at(moment) for name, moment in moments.items()},
    }
    if row.hub:
        # Left out where there is none: the document's reference can't be null.
        found["hub"] = hub_ref(row.hub)
    return found


def _parent(row: TierAccount | None) -> Json:
    return {} if row is None else {"id": row.id, "name": row.name, "external_id": row.external_id}
