"""What the objects of the catalogue look like in the API, whole and as references."""

from __future__ import annotations

from typing import Any

from requests_queue.catalog.models import (
    Account,
    Connection,
    Marketplace,
    Product,
    TierAccount,
    User,
)
from requests_queue.rest import Json, stamp


def icon(row: Any) -> str:
    """Return the path of an object's picture, as Connect has it: relative to the host."""
    return f"/media/{row._meta.model_name}/{row.pk}/icon.svg"


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
        "id": row.id,
        "type": row.type,
        "status": row.status,
        "provider": company(row.provider),
        "vendor": company(row.vendor),
        "hub": {"id": row.hub_id, "name": row.hub.name},
        "created_at": stamp(row.created),
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
