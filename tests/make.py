"""The smallest platform that a test needs: two accounts, a product, a connection, webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from requests_queue import clock
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import (
    Account,
    Asset,
    Connection,
    Contract,
    Hub,
    Item,
    Listing,
    Marketplace,
    Parameter,
    Product,
    Template,
    TierAccount,
    User,
)
from requests_queue.catalog.writes.parameters import next_number
from requests_queue.queues.fulfillment import creation
from requests_queue.queues.fulfillment.models import Request
from tests.contact import CONTACT
from webhooks.models import Delivery, Webhook

AT = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)


@dataclass
class Catalog:
    """The accounts with users, the product and what belongs to it."""

    vendor: Account
    provider: Account
    vendor_user: User
    provider_user: User
    product: Product
    connection: Connection
    item: Item
    template: Template

    @property
    def as_vendor(self) -> Actor:
        return Actor(self.vendor_user, self.vendor)

    @property
    def as_distributor(self) -> Actor:
        return Actor(self.provider_user, self.provider)


def catalog(digit: str = "1", capabilities: dict[str, Any] | None = None) -> Catalog:
    """Create the accounts and the product of a test; each `digit` has its own."""
    three = digit * 3
    vendor = Account.objects.create(
        id=f"VA-{three}-{three}", name="Vendor", type="vendor", created=AT
    )
    provider = Account.objects.create(
        id=f"PA-{three}-{three}", name="Provider", type="provider", role="distributor", created=AT
    )
    users = [
        User.objects.create(
            username=f"{kind}{digit}",
            uid=f"UR-{three}-{three}-{n}",
            account=account,
            email=f"{kind}{digit}@example.com",
        )
        for kind, n, account in (("vendor", "001", vendor), ("provider", "002", provider))
    ]
    product = Product.objects.create(
        id=f"PRD-{three}-{three}-{three}",
        name="Product",
        owner=vendor,
        capabilities=capabilities or {},
        created=AT,
        updated=AT,
    )
    hub = Hub.objects.create(
        id=f"HB-{digit * 4}-{digit * 4}", name="Hub", company=provider, created=AT, updated=AT
    )
    _list(product, provider, digit)
    connection = Connection.objects.create(
        id=f"CT-{digit * 4}-{digit * 4}-{digit * 4}",
        product=product,
        provider=provider,
        vendor=vendor,
        hub=hub,
        created=AT,
    )
    item = Item.objects.create(
        id=f"{product.id}-0001",
        local_id="SEAT",
        mpn="M-SEAT",
        product=product,
        name="Seat",
        unit={"id": "unit", "title": "Users"},
        created=AT,
        updated=AT,
    )
    template = Template.objects.create(
        id=f"TL-{three}-{three}-{three}",
        product=product,
        title="Active",
        name="Active",
        body="# Active",
        scope="asset",
        type="fulfillment",
        created=AT,
        updated=AT,
    )
    return Catalog(vendor, provider, *users, product, connection, item, template)


def _list(product: Product, provider: Account, digit: str) -> None:
    """Create the marketplace, contract and listing by which the provider sells the product."""
    marketplace = Marketplace.objects.create(
        id=f"MP-{digit * 5}", name="Market", owner=provider, created=AT
    )
    contract = Contract.objects.create(
        id=f"CRD-{digit * 5}-{digit * 5}-{digit * 5}",
        name="Contract",
        vendor=product.owner,
        provider=provider,
        marketplace=marketplace,
        created=AT,
    )
    Listing.objects.create(
        id=f"LST-{digit * 3}-{digit * 3}-{digit * 3}",
        product=product,
        contract=contract,
        created=AT,
        updated=AT,
    )


def parameter(catalog: Catalog, name: str, **more: Any) -> Parameter:
    """Add a parameter to the product."""
    fields = {
        "number": next_number(catalog.product.pk),
        "title": name,
        "type": "text",
        "scope": "asset",
        "phase": "ordering",
        "constraints": {},
        "created": AT,
        "updated": AT,
        **more,
    }
    return Parameter.objects.create(product=catalog.product, name=name, **fields)


def webhook(catalog: Catalog, url: str = "http://127.0.0.1:9/", n: int = 1, **more: Any) -> Webhook:
    """Make a webhook of the vendor."""
    fields = {
        "label": f"Hook {n}",
        "object_class": "fulfillment_request",
        "external_url": url,
        "jwt_secret": f"JWT-secret-of-thirty-two-bytes-or-more-{n}",
        "product": catalog.product,
        "account": catalog.vendor,
        "created_at": AT,
        "created_by": catalog.vendor_user,
        **more,
    }
    pk = f"WH-{n // 1000000:03d}-{n // 1000 % 1000:03d}-{n % 1000:03d}"
    return Webhook.objects.create(id=pk, **fields)


def delivery_about(catalog: Catalog, *pks: str) -> Delivery:
    """Make a delivery of events about several objects, of a new webhook."""
    hook = webhook(catalog)
    made = hook.deliveries.create(created_at=clock.now())
    for pk in pks:
        hook.event_set.create(delivery=made, object_id=pk, at=clock.now())
    return made


def purchase(catalog: Catalog, **more: Any) -> dict[str, Any]:
    """Return the body of a purchase with only what a distributor sends."""
    asset = {
        "connection": {"id": catalog.connection.id},
        "items": [{"id": catalog.item.id, "quantity": 5}],
        "tiers": {
            "customer": {"name": "Harbour Cafe", "contact_info": CONTACT},
            "tier1": {"name": "Portland Resellers", "contact_info": CONTACT},
        },
        **more.pop("asset", {}),
    }
    return {"type": "purchase", "asset": asset, **more}


def order(catalog: Catalog, times: int = 1, **more: Any) -> Request:
    """Create purchases as the distributor, and return the last one."""
    for _ in range(times):
        row = creation.create(purchase(catalog, **more), catalog.as_distributor)
    return row


def asset(catalog: Catalog, n: int = 1, **more: Any) -> Asset:
    """Make an active subscription."""
    tier = TierAccount.objects.create(
        id=f"TA-0000-0000-{n:04d}",
        name="Customer",
        owner=catalog.provider,
        hub=catalog.connection.hub,
        contact_info=CONTACT,
        created=AT,
        updated=AT,
    )
    fields = {
        "status": "active",
        "product": catalog.product,
        "connection": catalog.connection,
        "marketplace": Marketplace.objects.get(owner=catalog.provider),
        "contract": Contract.objects.get(provider=catalog.provider),
        "customer": tier,
        "tier1": tier,
        "created": AT,
        "updated": AT,
        **more,
    }
    return Asset.objects.create(id=f"AS-0000-0000-{n:04d}", **fields)
