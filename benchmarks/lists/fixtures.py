"""Fixtures of the list benchmark: 100,000 fulfillment requests beside the demo data."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

_CHUNK = 5000
_CUSTOMERS, _RESELLERS = 20_000, 200
# Product and status of each ten requests; the measured lists show the first kind.
_BACKUP, _SUITE, _FOREIGN = "PRD-814-505-018", "PRD-362-917-440", "PRD-777-777-777"
_MIX = (
    *[(_BACKUP, "pending")] * 6,
    *[(_BACKUP, "approved")] * 2,
    (_SUITE, "pending"),
    (_FOREIGN, "pending"),
)
PRODUCT = _BACKUP
LISTED = f"and(eq(status,pending),eq(asset.product.id,{PRODUCT}))&ordering(-created)"


@dataclass(frozen=True, slots=True)
class _ProductData:
    """Data shared by the requests of a product."""

    connection: Any
    contract: Any
    template: Any
    assignee: Any
    items: list[dict[str, Any]]
    params: list[dict[str, Any]]


def fill(count: int) -> None:
    """Create `count` requests in an empty database, each with its own asset."""
    from django.core.management import call_command
    from django.db import transaction

    from requests_queue import seed
    from requests_queue.catalog.models import Asset
    from requests_queue.queues.fulfillment.models import Request
    from tests import make

    call_command("migrate", verbosity=0, interactive=False)
    seed.run(lambda line: None)
    make.catalog("7")
    start = seed.accounts.first_seed() - timedelta(days=300)
    products = {name: _product_data(name) for name in (_BACKUP, _SUITE, _FOREIGN)}
    _tier_accounts(products[_BACKUP], start)
    for first in range(0, count, _CHUNK):
        numbers = range(first, min(first + _CHUNK, count))
        assets = [_asset(n, products[_MIX[n % 10][0]], start) for n in numbers]
        requests = [
            _request(n, products[_MIX[n % 10][0]], row)
            for n, row in zip(numbers, assets, strict=True)
        ]
        with transaction.atomic():
            Asset.objects.bulk_create(assets, batch_size=500)
            Request.objects.bulk_create(requests, batch_size=500)
    analyze()


def analyze() -> None:
    """Do what autovacuum does when tables have grown; SQLite has no equivalent."""
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _product_data(product: str) -> _ProductData:
    from requests_queue.catalog import parameter_values
    from requests_queue.catalog.models import Connection, Listing, Template, User
    from requests_queue.queues.fulfillment import items

    connection = Connection.objects.select_related("product").get(product=product)
    names = connection.product.items.exclude(type="PPU").values_list("local_id", flat=True)
    order = items.order_items(connection.product, [{"id": n, "quantity": 1} for n in names[:2]], [])
    return _ProductData(
        connection,
        Listing.objects.select_related("contract").get(product=product).contract,
        Template.objects.filter(product=product, scope="asset", type="fulfillment").first(),
        User.objects.filter(account=connection.vendor_id).first(),
        order,
        parameter_values.blank(connection.product),
    )


def _tier_accounts(data: _ProductData, at: datetime) -> None:
    from requests_queue.catalog.models import TierAccount
    from tests import make

    def rows(kind: str, count: int) -> Iterator[Any]:
        for n in range(count):
            yield TierAccount(
                id=_tier(kind, n),
                name=f"{kind.title()} {n} Ltd",
                type=kind,
                external_id=f"{n}",
                external_uid=_uid(kind, n),
                tax_id=f"DE{n:09d}",
                owner_id=data.connection.provider_id,
                hub_id=data.connection.hub_id,
                contact_info={**make.CONTACT, "address_line1": f"{n} Harbour Road"},
                created=at,
                updated=at,
            )

    TierAccount.objects.bulk_create(rows("reseller", _RESELLERS), batch_size=500)
    TierAccount.objects.bulk_create(rows("customer", _CUSTOMERS), batch_size=500)


def _asset(n: int, data: _ProductData, start: datetime) -> Any:
    from requests_queue.catalog.models import Asset

    approved = _MIX[n % 10][1] == "approved"
    # Three requests share each creation time: the id is the tie-breaker of the order.
    created = start + timedelta(minutes=4 * (n // 3))
    return Asset(
        id=f"AS-{n // 10000 + 1000:04d}-{n % 10000:04d}-{n % 9973:04d}",
        status="active" if approved else "processing",
        external_id=f"{500000 + n}",
        external_uid=_uid("asset", n),
        product_id=data.connection.product_id,
        connection=data.connection,
        marketplace_id=data.contract.marketplace_id,
        contract=data.contract,
        customer_id=_tier("customer", n * 7919 % _CUSTOMERS),
        tier1_id=_tier("reseller", n * 31 % _RESELLERS),
        tier2_id=_tier("reseller", n * 17 % _RESELLERS) if n % 3 == 0 else None,
        items=[{**row, "quantity": str(n % 90 + 1)} for row in data.items],
        params=[{**row, "value": f"{row['id']}-{n}.example.com"} for row in data.params],
        template=data.template if approved else None,
        created=created,
        updated=created + timedelta(hours=2) if approved else created,
    )


def _request(n: int, data: _ProductData, asset: Any) -> Any:
    from requests_queue.queues.fulfillment.models import Request

    approved = _MIX[n % 10][1] == "approved"
    return Request(
        id=f"PR-{asset.id[3:]}-001",
        type="purchase",
        status=_MIX[n % 10][1],
        asset=asset,
        product_id=asset.product_id,
        vendor_id=data.connection.vendor_id,
        provider_id=data.connection.provider_id,
        marketplace_id=asset.marketplace_id,
        contract_id=asset.contract_id,
        items=asset.items,
        params=asset.params,
        note="" if n % 4 else "Please set up before the inventory on Monday.",
        assignee=data.assignee if approved or n % 5 == 0 else None,
        template=asset.template,
        effective_date=asset.updated if approved else None,
        activation_key="# Ready" if approved else "",
        created=asset.created,
        updated=asset.updated,
    )


def _tier(kind: str, n: int) -> str:
    return f"TA-{9000 if kind == 'reseller' else 1000 + n // 10000:04d}-{n % 10000:04d}-0000"


def _uid(kind: str, n: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {n}"))
