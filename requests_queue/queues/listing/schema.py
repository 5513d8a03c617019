"""What is written of listings and the requests about them, in the OpenAPI document."""

from typing import Literal, Required, TypedDict

from requests_queue.queues.listing.representations import LISTING, LISTING_REQUEST, Kind
from requests_queue.schema import Documented, Id


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
    "Listings", "listing request", LISTING_REQUEST, bodies={"create": ListingRequestCreate}
)
LISTINGS = Documented("Listings", "listing", LISTING, bodies={"update": ListingUpdate})
