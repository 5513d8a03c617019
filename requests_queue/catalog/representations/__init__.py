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
from requests_queue.resources import Field, Part, format_datetime
from requests_queue.schema import Json

# One sandbox is one database; the document demands its region.
REGION = "EU"


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


PRODUCT_REFERENCE = Part(
    "ProductReference", "A product, as orders name it.",
    {"id": str, "name": str, "icon": Field(str, icon), "status": str},
)  # fmt: skip


PERSON = Part(
    "Person", "A user.",
    {"id": Field(str, "uid"), "name": Field(str, unfiltered=True), "email": str}, named=("id",),
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


def hub_ref(row: Hub) -> Json:
    """Return a hub as a reference."""
    return {"id": row.id, "name": row.name}
