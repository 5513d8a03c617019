"""How a listing request comes to be, and how a draft goes: both are the vendor's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from requests_queue import body, clock, ids, transitions
from requests_queue.catalog.actors import VENDOR, Actor
from requests_queue.catalog.models import Contract, Listing, Product
from requests_queue.errors import ActionNotAllowed, Forbidden, Invalid, Missing, Refused
from requests_queue.queues.listing import effects
from requests_queue.queues.listing.models import ListingRequest

TYPES = tuple(effects.NEEDS)


def create(data: Mapping[str, Any], actor: Actor) -> ListingRequest:
    """Create the draft of a `POST /listing-requests` body and return it.

    `{type: new, product_id, contract_id, note?}`, or `{type: update|remove, listing_id, note?}`,
    or the same nested: `product.id`, `listing.contract.id`, `listing.id`.
    Raises Invalid, Forbidden (the distributor), or Refused where the listing already is what is
    asked for, or has an open request.
    """
    kind = body.choice(data, "type", TYPES)
    if actor.role != VENDOR:
        raise Forbidden("A listing request is created by the vendor.")
    note, named = body.text(data, "note"), {**_unnested(data), **data}
    for name in ("product_id", "contract_id", "listing_id"):
        body.word(named, name)
    return _create(kind, named, note, actor)


def _unnested(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the models of the Haxe SDK say nested, by the names of the document."""
    listing = body.mapping(data.get("listing"), "listing")
    found = {
        "product_id": body.id_of(data.get("product"), "product"),
        "contract_id": body.id_of(listing.get("contract"), "listing.contract"),
        "listing_id": body.id_of(listing, "listing"),
    }
    return {name: value for name, value in found.items() if value is not None}


@transitions.atomic()
def _create(kind: str, data: Mapping[str, Any], note: str, actor: Actor) -> ListingRequest:
    now = clock.shown(clock.now())
    listing = _listed_anew(data, actor, now) if kind == "new" else _listed(data, actor)
    effects.check(listing, kind)
    request = ListingRequest(
        pk=ids.next_in(listing.pk, "LSTR-", _last_number(listing)),
        status="draft",
        type=kind,
        listing=listing,
        product_id=listing.product_id,
        vendor_id=listing.contract.vendor_id,
        provider_id=listing.contract.provider_id,
        creator=actor.user,
        note=note,
        created=now,
        updated=now,
    )
    transitions.add(request, actor)
    return request


def _listed_anew(data: Mapping[str, Any], actor: Actor, now: datetime) -> Listing:
    """Return the listing of a product under a contract, made where there was none: unlisted."""
    product, contract = _product_and_contract(data, actor)
    if contract.status != "active":
        raise Invalid("contract_id", f"Contract {contract.pk} is {contract.status}.")
    found = _of(product, contract)
    if found is None:
        return ids.create(
            lambda pk: Listing(
                pk=pk, status="unlisted", product=product, contract=contract, created=now,
                updated=now,
            ),
            "listing",
        )  # fmt: skip
    return found


def _last_number(listing: Listing) -> int:
    """Return the number of the listing's latest request; drafts before it may be gone."""
    last = listing.requests.order_by("-pk").values_list("pk", flat=True).first()
    return int(last[-3:]) if last else 0


def _listed(data: Mapping[str, Any], actor: Actor) -> Listing:
    if "listing_id" in data or "product_id" not in data:
        pk = _named(data, "listing_id")
        found = _locked().filter(pk=pk, contract__vendor=actor.account).first()
        if found is None:
            raise Invalid("listing_id", f"Listing {pk} does not exist.")
    else:
        found = _of(*_product_and_contract(data, actor))
        if found is None:
            raise Refused("VAL_001", "There is no Listing for specified Product and Marketplace.")
    return found


def _product_and_contract(data: Mapping[str, Any], actor: Actor) -> tuple[Product, Contract]:
    product_id, contract_id = _named(data, "product_id"), _named(data, "contract_id")
    # The lock makes what is found of this product's listings hold until commit.
    product = Product.objects.select_for_update().filter(pk=product_id, owner=actor.account).first()
    if product is None:
        raise Invalid("product_id", f"Product {product_id} does not exist.")
    contract = Contract.objects.filter(pk=contract_id, vendor=actor.account).first()
    if contract is None:
        raise Invalid("contract_id", f"Contract {contract_id} does not exist.")
    return product, contract


def _of(product: Product, contract: Contract) -> Listing | None:
    return _locked().filter(product=product, contract=contract).order_by("status", "pk").first()


def _locked() -> QuerySet[Listing]:
    return Listing.objects.select_for_update(of=("self",)).select_related("contract")


def _named(data: Mapping[str, Any], name: str) -> str:
    found = body.word(data, name)
    if found is None:
        raise Invalid(name, "This field is required.")
    return found


@transaction.atomic
def delete_draft(pk: str, actor: Actor) -> None:
    """Delete a draft, and the listing that was made for it; raises IllegalMove or Forbidden."""
    if actor.role != VENDOR:
        raise Forbidden("A draft is deleted by the vendor.")
    row = ListingRequest.objects.select_for_update().filter(pk=pk).first()
    if row is None:
        raise Missing(pk)
    if row.status != "draft":
        raise ActionNotAllowed(f"{pk} is {row.status}: delete is for draft only.")
    # A request that is being made for the listing has it locked.
    Listing.objects.select_for_update().get(pk=row.listing_id)
    transitions.delete(row)
    # The listing of a draft that was never completed has never been more than its draft.
    if row.type == "new":
        Listing.objects.filter(pk=row.listing_id, status="unlisted", requests=None).delete()
