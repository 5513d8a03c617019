"""The rows of the catalog that an account may see: the isolation of accounts is defined here.

Vendors see their own rows and where they sell; providers what they own and what they resell.
"""

from __future__ import annotations

from typing import Any

from django.db.models import (
    BooleanField,
    Count,
    Exists,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce

from requests_queue.catalog.models import (
    Account,
    Agreement,
    Asset,
    Connection,
    Contract,
    Hub,
    Listing,
    Marketplace,
    Product,
    TierAccount,
)
from requests_queue.catalog.models.directory import PREVIEW_CONNECTION
from requests_queue.errors import Forbidden

_OUTER = OuterRef("pk")


def _side(account: Account) -> str:
    return "vendor" if account.is_vendor else "provider"


def party(account: Account | None, route: str = "") -> dict[str, Account]:
    """Return the filter for rows whose vendor or provider, behind `route`, is the account.

    Without an account the filter is empty.
    """
    return {} if account is None else {f"{route}{_side(account)}": account}


def connections(account: Account | None) -> QuerySet[Connection]:
    """Return the connections that the account is a party to; without one, all.

    Excludes those of the preview environment, which are placeholders.
    """
    rows = Connection.objects.exclude(public_id=PREVIEW_CONNECTION)
    return rows.filter(**party(account))


def assets(account: Account) -> QuerySet[Asset]:
    """Return the subscriptions of the account's connections."""
    return Asset.objects.filter(**party(account, "connection__"))


def contracts(account: Account) -> QuerySet[Contract]:
    """Return the contracts that the account is a party to."""
    return Contract.objects.filter(**party(account))


def listings(account: Account) -> QuerySet[Listing]:
    """Return the listings under the account's contracts."""
    return Listing.objects.filter(**party(account, "contract__"))


def placeholders(account: Account, model: type[Model], route: str) -> QuerySet[Any]:
    """Return what stands in orders of the account's preview environment, in no list.

    `route` leads to the model's row from a subscription, `connection__hub`.
    """
    orders = assets(account).filter(connection__public_id=PREVIEW_CONNECTION, **{route: _OUTER})
    return model._default_manager.filter(Exists(orders))


def require_vendor(account: Account) -> None:
    """Raise Forbidden for a provider."""
    if not account.is_vendor:
        raise Forbidden("Only the product's vendor can change it.")


def require_provider(account: Account, kind: str) -> None:
    """Raise Forbidden for a vendor; `kind` is what only providers write, in the plural."""
    if account.is_vendor:
        raise Forbidden(f"{kind} are written by their provider only.")


def products(account: Account) -> QuerySet[Product]:
    """Return a vendor's own products; a provider's: those connected to it or listed with it."""
    if account.is_vendor:
        return Product.objects.filter(owner=account)
    return Product.objects.filter(
        Exists(connections(account).filter(product=_OUTER))
        | Exists(listings(account).filter(product=_OUTER))
    )


def seen_by(account: Account, product: str = "pk") -> dict[str, Value | Exists]:
    """Return annotations: why the account sees the product, whose key is in that column."""
    listed = listings(account).filter(product=OuterRef(product), status="listed")
    vendor, no = account.is_vendor, Value(False, BooleanField())
    return {
        "seen_by_owner": Value(vendor, BooleanField()),
        "seen_by_listing": no if vendor else Exists(listed),
        # No syndication and no public catalog here.
        "seen_by_syndication": no,
        "seen_by_catalog": no,
    }


def hubs(account: Account) -> QuerySet[Hub]:
    """Return a provider's own hubs; a vendor's: those of its connections and contracts."""
    if not account.is_vendor:
        return Hub.objects.filter(company=account)
    return Hub.objects.filter(
        Exists(connections(account).filter(hub=_OUTER))
        | Exists(contracts(account).filter(marketplace__hubs=_OUTER))
    )


def marketplaces(account: Account) -> QuerySet[Marketplace]:
    """Return a provider's own marketplaces; a vendor's: those of its contracts."""
    if not account.is_vendor:
        return Marketplace.objects.filter(owner=account)
    return Marketplace.objects.filter(Exists(contracts(account).filter(marketplace=_OUTER)))


def agreements(account: Account) -> QuerySet[Agreement]:
    """Return a provider's own agreements; a vendor's: those that its contracts are made from."""
    if not account.is_vendor:
        return Agreement.objects.filter(owner=account)
    own = contracts(account)
    return Agreement.objects.filter(
        Exists(own.filter(program=_OUTER))
        | Q(parent=None, marketplace__in=own.values("marketplace"))
    )


def tier_accounts(account: Account) -> QuerySet[TierAccount]:
    """Return a provider's own tier accounts; a vendor's: those in assets of its connections."""
    rows = TierAccount.objects.alias(**tiers(account))
    if not account.is_vendor:
        return rows.filter(owner=account)
    return rows.filter(Q(as_customer=True) | Q(as_tier1=True) | Q(as_tier2=True))


def tiers(account: Account) -> dict[str, Exists]:
    """Return annotations: whether a tier account is a customer or tier of the account's assets."""
    mine = assets(account)
    return {
        f"as_{tier}": Exists(mine.filter(**{tier: _OUTER}))
        for tier in ("customer", "tier1", "tier2")
    }


def count(rows: QuerySet[Any], link: str) -> Coalesce:
    """Return the number of `rows` whose `link` is the annotated row."""
    counted = rows.filter(**{link: _OUTER}).order_by().values(link)
    return Coalesce(Subquery(counted.annotate(n=Count("pk", distinct=True)).values("n")), 0)
