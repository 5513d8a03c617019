"""A vendor's POST of a connection: its product meets a hub, and orders can come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from requests_queue import clock, ids
from requests_queue.catalog.models import Connection, Product
from requests_queue.catalog.views import seen
from requests_queue.catalog.writes import products
from requests_queue.catalog.writes.given import Given
from requests_queue.errors import Invalid


@transaction.atomic
def create(product: Product, data: Mapping[str, Any]) -> Connection:
    """Connect the product to a hub that the vendor sees: `{hub: {id}, type?, provider: {id}?}`.

    The sandbox approves it at once. Raises Invalid.
    """
    row, given, now = products.lock(product), Given(data), clock.shown(clock.now())
    kind = "test"
    if data.get("type") is not None:
        kind = given.choice("type", ("test", "production"))
    pk = given.id_of("hub")
    hub = seen.hubs(row.owner).filter(pk=pk).select_related("company").first()
    if hub is None:
        raise Invalid(f"hub.id: Hub {pk} does not exist.")
    if data.get("provider") is not None and given.id_of("provider") != hub.company_id:
        raise Invalid(f"provider.id: Hub {pk} belongs to another provider.")
    if Connection.objects.filter(product=row, hub=hub, type=kind).exists():
        raise Invalid(f"hub.id: There is a {kind} connection to hub {pk} already.")
    return ids.create(
        lambda pk: Connection(
            pk=pk, type=kind, product=row, provider=hub.company, vendor=row.owner, hub=hub,
            created=now,
        ),
        "connection",
    )  # fmt: skip
