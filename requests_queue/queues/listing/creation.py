"""Creation of listing requests and deletion of drafts, both by the vendor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from requests_queue import clock, ids
from requests_queue.api.fields import Choice, Id, Input, Reference, String, Values
from requests_queue.catalog.actors import VENDOR, Actor
from requests_queue.catalog.models import Contract, Listing, Product
from requests_queue.db.rows import get_named, get_row
from requests_queue.errors import ActionNotAllowed, Forbidden, Invalid, Refused
from requests_queue.queues import transitions
from requests_queue.queues.listing import effects
from requests_queue.queues.listing.models import ListingRequest

TYPES = tuple(effects.NEEDS)


class NamedListingInput(Input):
    """A listing by its id, or by its contract."""

    id = Id()
    contract = Reference(allow_null=True)


class ListingRequestInput(Input):
    """A request: for a new listing product and contract, else the listing.

    The models of the Haxe SDK name them by nested objects.
    """

    type = Choice(TYPES, required=True)
    note = String()
    product_id = Id()
    contract_id = Id()
    listing_id = Id()
    product = Reference(allow_null=True)
    listing = NamedListingInput(allow_null=True)

    def validate(self, attrs: Values) -> Values:
        """Return the values with the ids of nested objects, unless they are given."""
        listing = attrs.pop("listing", {})
        nested = {
            "product_id": attrs.pop("product", None),
            "contract_id": listing.get("contract"),
            "listing_id": listing.get("id"),
        }
        return {name: pk for name, pk in nested.items() if pk is not None} | attrs


BODY = ListingRequestInput()


@transitions.atomic()
def create(data: Mapping[str, Any], actor: Actor) -> ListingRequest:
    """Create the draft of a `POST /listing-requests` body and return it.

    Raises Invalid, Forbidden (the distributor), or Refused where the listing already is what is
    requested, or has an open request.
    """
    values = BODY.check(data)
    if actor.role != VENDOR:
        raise Forbidden("A listing request is created by the vendor.")
    kind, now = values["type"], clock.shown(clock.now())
    listing = _listed_anew(values, actor, now) if kind == "new" else _listed(values, actor)
    effects.check(listing, kind)
    # Not their count: earlier drafts may be deleted.
    last = listing.requests.order_by("-pk").values_list("pk", flat=True).first()
    request = ListingRequest(
        pk=ids.next_in(ListingRequest, listing.pk, "LSTR-", int(last[-3:]) if last else 0),
        status="draft",
        type=kind,
        listing=listing,
        product_id=listing.product_id,
        vendor_id=listing.contract.vendor_id,
        provider_id=listing.contract.provider_id,
        creator=actor.user,
        note=values.get("note", ""),
        created=now,
        updated=now,
    )
    transitions.add(request, actor)
    return request


def _listed_anew(data: Values, actor: Actor, now: datetime) -> Listing:
    """Return the listing of a product under a contract, created unlisted if there is none.

    Raises Invalid for a product that isn't published and a contract that isn't active.
    """
    product, contract = _product_and_contract(data, actor)
    if product.status != "published":
        raise Invalid("product_id", effects.unpublished(product))
    if contract.status != "active":
        raise Invalid("contract_id", f"Contract {contract.pk} is {contract.status}.")
    found = _of(product, contract)
    if found is None:
        return ids.create(
            Listing(
                status="unlisted",
                product=product,
                contract=contract,
                created=now,
                updated=now,
            ),
            "listing",
        )
    return found


def _listed(data: Values, actor: Actor) -> Listing:
    if "listing_id" in data or "product_id" not in data:
        mine = _locked().filter(contract__vendor=actor.account)
        return get_named(mine, data.get("listing_id"), "listing_id", "Listing")
    listing = _of(*_product_and_contract(data, actor))
    if listing is None:
        raise Refused("VAL_001", "There is no Listing for specified Product and Marketplace.")
    return listing


def _product_and_contract(data: Values, actor: Actor) -> tuple[Product, Contract]:
    # The lock makes what is found of this product's listings hold until commit.
    products = Product.objects.select_for_update().filter(owner=actor.account)
    product = get_named(products, data.get("product_id"), "product_id", "Product")
    contracts = Contract.objects.filter(vendor=actor.account, program=None)
    return product, get_named(contracts, data.get("contract_id"), "contract_id", "Contract")


def _of(product: Product, contract: Contract) -> Listing | None:
    return _locked().filter(product=product, contract=contract).order_by("status", "pk").first()


def _locked() -> QuerySet[Listing]:
    return Listing.objects.select_for_update(of=("self",)).select_related("contract")


@transaction.atomic
def delete_draft(pk: str, actor: Actor) -> None:
    """Delete a draft and the listing created for it; raises ActionNotAllowed, Forbidden."""
    if actor.role != VENDOR:
        raise Forbidden("A draft is deleted by the vendor.")
    row = get_row(ListingRequest.objects.select_for_update(), pk)
    if row.status != "draft":
        raise ActionNotAllowed(f"{pk} is {row.status}: delete is for draft only.")
    # A request that is being made for the listing has it locked.
    Listing.objects.select_for_update().get(pk=row.listing_id)
    transitions.delete(row)
    # The listing of a draft that was never completed has never been more than its draft.
    if row.type == "new":
        Listing.objects.filter(pk=row.listing_id, status="unlisted", requests=None).delete()
