"""The preview environment: a vendor orders its own product and is both parties of the order.

For the connection, contract, hub and marketplace of such an order Connect shows placeholder ids,
and queries find them by these ids or by `null()`. Contract, hub and marketplace are one row each
for all vendors, owned by an account without users, so that no list shows them. There is one
connection per product, because it determines the parties of an order.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from django.db import models

from requests_queue import clock
from requests_queue.catalog.models import (
    Account,
    Connection,
    Contract,
    Hub,
    Marketplace,
    Product,
)
from requests_queue.catalog.models.directory import PREVIEW_CONNECTION

M = TypeVar("M", bound=models.Model)

CONNECTION, CONTRACT = PREVIEW_CONNECTION, "CRD-00000-00000-00000"
HUB, MARKETPLACE = "HB-0000-0000", "MP-00000"
# Owns the rows that all vendors share; has no users.
ACCOUNT = "PA-000-000"
TYPE = "preview"


def connection_of(product: Product) -> Connection:
    """Return the preview connection of a product; created on first use."""
    pk = f"{CONNECTION}/{product.pk.removeprefix('PRD-')}"[:32]
    owner = product.owner_id
    return _ensure(
        Connection.objects.all(),
        pk,
        type=TYPE,
        product=product,
        provider_id=owner,
        vendor_id=owner,
        hub=_hub,
    )


def is_preview(connection: Connection) -> bool:
    """Whether a connection is a product's preview connection."""
    return connection.pk.startswith(CONNECTION)


def contract() -> Contract:
    """Return the contract of preview orders, with its marketplace; created on first use."""
    return _ensure(
        Contract.objects.select_related("marketplace"),
        CONTRACT,
        name="Preview",
        vendor=_account,
        provider=_account,
        marketplace=_marketplace,
        enrolled=_now,
        signed=_now,
    )


def _ensure(rows: models.QuerySet[M], pk: str, **columns: Any) -> M:
    """Return the row of this key; created if missing, and only then are functions called."""
    row, _ = rows.get_or_create(pk=pk, defaults={**columns, "created": _now})
    return row


def _now() -> datetime:
    return clock.shown(clock.now())


def _marketplace() -> Marketplace:
    return _ensure(Marketplace.objects.all(), MARKETPLACE, name="Preview", owner=_account)


def _hub() -> Hub:
    return _ensure(Hub.objects.all(), HUB, name="ACME Hub", company=_account, updated=_now)


def _account() -> Account:
    columns = {"name": "Preview", "type": "provider", "role": "distributor"}
    return _ensure(Account.objects.all(), ACCOUNT, **columns)
