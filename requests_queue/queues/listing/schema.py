"""The types of listings and the requests about them in the OpenAPI document."""

from typing import Any, Literal, NotRequired, Required, TypedDict

from requests_queue.schema import (
    AnyReference,
    Documented,
    Happened,
    Id,
    Pictured,
    Stamp,
)

Kind = Literal["new", "update", "remove"]
State = Literal["draft", "reviewing", "deploying", "completed", "canceled"]


class ListedProduct(TypedDict):
    """A product, as listings have it."""

    id: str
    name: str
    icon: str
    status: str
    description: str
    category: AnyReference


class ListedContract(TypedDict):
    """A contract with its marketplace."""

    id: str
    type: str
    name: str
    marketplace: Pictured


class Offer(TypedDict):
    """Not simulated: always empty."""

    id: str | None
    name: str
    plans: list[Any]
    type: str | None


class PriceList(TypedDict):
    """Not simulated: always empty."""

    id: str | None
    name: str
    status: str


class PendingListingRequest(TypedDict):
    """The request that is under way about a listing."""

    id: str
    type: Kind
    status: State


class Listing(TypedDict):
    """A product on a marketplace."""

    id: str
    status: Literal["listed", "unlisted"]
    contract: ListedContract
    product: ListedProduct
    vendor: Pictured
    provider: Pictured
    created: Stamp
    updated: Stamp
    offer: Offer
    pricelist: PriceList
    alt_pricelist_1: PriceList
    alt_pricelist_2: PriceList
    pending_request: NotRequired[PendingListingRequest]


class MadeBy(TypedDict):
    """A moment, and whose."""

    at: Stamp
    by: NotRequired[Pictured]


class ListingRequestEvents(TypedDict):
    """The moments of a request."""

    created: MadeBy
    updated: Happened


class ListingRequest(TypedDict):
    """A vendor's wish to list a product, or to take it off."""

    id: str
    type: Kind
    state: State
    product: ListedProduct
    listing: Listing
    creator: AnyReference
    assignee: AnyReference
    created: Stamp
    updated: Stamp
    note: str
    events: ListingRequestEvents


class GivenListing(TypedDict, total=False):
    """A listing, or the contract of the one to be made."""

    id: str
    contract: Id


class ListingRequestCreate(TypedDict, total=False):
    """A new request: of type `new` by product and contract, of the others by listing.

    The nested form is understood as well.
    """

    type: Required[Kind]
    product_id: str
    contract_id: str
    listing_id: str
    note: str
    product: Id
    listing: GivenListing


class ListingUpdate(TypedDict, total=False):
    """What the distributor changes of a listing."""

    status: Literal["listed", "unlisted"]


LISTING_REQUESTS = Documented(
    "Listings", "listing request", ListingRequest, bodies={"create": ListingRequestCreate}
)
LISTINGS = Documented("Listings", "listing", Listing, bodies={"update": ListingUpdate})
