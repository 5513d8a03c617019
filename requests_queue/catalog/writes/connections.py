"""A vendor's POST and PUT of a connection: its product meets a hub, and orders can come."""

from __future__ import annotations

from django.db import transaction

from requests_queue import clock, ids
from requests_queue.api.fields import AnyCaseChoice, Input, Reference, Values
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Connection, Product
from requests_queue.catalog.writes import products
from requests_queue.db.rows import get_named
from requests_queue.errors import Invalid

TYPES = ("test", "production")


class ConnectionUpdate(Input):
    """What changes of a connection."""

    type = AnyCaseChoice(TYPES, allow_null=True)


class ConnectionInput(ConnectionUpdate):
    """A new connection; all but hub and type follows from them."""

    hub = Reference(required=True)
    provider = Reference(allow_null=True)
    vendor = Reference(allow_null=True)
    product_version_type = AnyCaseChoice(("public",), allow_null=True)


@transaction.atomic
def create(product: Product, values: Values) -> Connection:
    """Connect the product to a hub that the vendor sees; raises Invalid.

    The sandbox approves it at once.
    """
    row, now = products.begin_change(product), clock.shown(clock.now())
    kind, pk = values.get("type", "test"), values["hub"]
    # The lock keeps the hub from being deleted until commit.
    locked = visibility.hubs(row.owner).select_for_update(of=("self",), no_key=True)
    hub = get_named(locked.select_related("company"), pk, "hub.id", "Hub")
    if values.get("provider") not in (None, hub.company_id):
        raise Invalid("provider.id", f"Hub {pk} belongs to another provider.")
    if values.get("vendor") not in (None, row.owner_id):
        raise Invalid("vendor.id", f"Product {row.pk} belongs to another vendor.")
    _check_free(row, pk, kind)
    return ids.create(
        Connection(
            type=kind,
            product=row,
            provider=hub.company,
            vendor=row.owner,
            hub=hub,
            created=now,
        ),
        "connection",
    )


@transaction.atomic
def update(product: Product, connection: Connection, values: Values) -> None:
    """Change a connection's type, all that can change of it; raises Invalid."""
    fresh = products.begin_part_change(product, connection)
    kind = values.get("type", fresh.type)
    if kind != fresh.type:
        _check_free(product, fresh.hub_id, kind)
        Connection.objects.filter(pk=fresh.pk).update(type=kind)


def _check_free(product: Product, hub_id: str, kind: str) -> None:
    if Connection.objects.filter(product=product, hub=hub_id, type=kind).exists():
        raise Invalid("hub.id", f"There is a {kind} connection to hub {hub_id} already.")
