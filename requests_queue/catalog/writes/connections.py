"""A vendor's POST and PUT of a connection: its product meets a hub, and orders can come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from requests_queue import clock, ids
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Connection, Product
from requests_queue.catalog.writes import products
from requests_queue.catalog.writes.given import Given
from requests_queue.errors import Invalid

TYPES = ("test", "production")


@transaction.atomic
def create(product: Product, data: Mapping[str, Any]) -> Connection:
    """Connect the product to a hub that the vendor sees: `{hub: {id}, type?}`.

    `provider`, `vendor` and `product_version_type` may be there too, but say nothing new. The
    sandbox approves it at once. Raises Invalid.
    """
    row, given, now = products.lock(product), Given(data), clock.shown(clock.now())
    kind = "test"
    if data.get("type") is not None:
        kind = given.choice("type", TYPES)
    pk = given.id_of("hub")
    # The lock keeps the hub from being deleted until commit.
    locked = visibility.hubs(row.owner).select_for_update(of=("self",), no_key=True)
    hub = locked.filter(pk=pk).select_related("company").first()
    if hub is None:
        raise Invalid("hub.id", f"Hub {pk} does not exist.")
    if data.get("provider") is not None and given.id_of("provider") != hub.company_id:
        raise Invalid("provider.id", f"Hub {pk} belongs to another provider.")
    if data.get("vendor") is not None and given.id_of("vendor") != row.owner_id:
        raise Invalid("vendor.id", f"Product {row.pk} belongs to another vendor.")
    if data.get("product_version_type") is not None:
        given.choice("product_version_type", ("public",))
    _check_free(row, pk, kind)
    return ids.create(
        lambda pk: Connection(
            pk=pk, type=kind, product=row, provider=hub.company, vendor=row.owner, hub=hub,
            created=now,
        ),
        "connection",
    )  # fmt: skip


@transaction.atomic
def update(product: Product, connection: Connection, data: Mapping[str, Any]) -> None:
    """Change a connection's type, all that a body can change of it; raises Invalid."""
    row, given = products.lock(product), Given(data)
    if data.get("type") is None:
        return
    kind = given.choice("type", TYPES)
    fresh = products.fresh(connection)
    if kind != fresh.type:
        _check_free(row, fresh.hub_id, kind)
        Connection.objects.filter(pk=fresh.pk).update(type=kind)


def _check_free(product: Product, hub_id: str, kind: str) -> None:
    if Connection.objects.filter(product=product, hub=hub_id, type=kind).exists():
        raise Invalid("hub.id", f"There is a {kind} connection to hub {hub_id} already.")
