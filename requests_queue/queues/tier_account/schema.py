"""The types of tier account requests in the OpenAPI document."""

from typing import Literal, TypedDict

from requests_queue.catalog.schema import ProductReference
from requests_queue.catalog.schema.directory import TierAccount, TierAccountUpdate
from requests_queue.schema import Documented, Made, Pictured


class TierAccountRequest(TypedDict):
    """The vendor is asked whether it keeps a change of a customer or reseller."""

    id: str
    type: Literal["update"]
    status: Literal["pending", "unsupported", "accepted", "ignored"]
    account: TierAccount
    vendor: Pictured
    provider: Pictured
    product: ProductReference
    reason: str
    events: Made


class ChangedAccount(TierAccountUpdate, total=False):
    """A tier account by `id`, `external_uid` or `external_id`, and what changes of it."""

    id: str


class TierAccountRequestCreate(TypedDict):
    """A change of a tier account."""

    type: Literal["update"]
    account: ChangedAccount


class Ignore(TypedDict, total=False):
    """Why the change isn't kept."""

    reason: str


TIER_ACCOUNT_REQUESTS = Documented(
    "Tiers", "tier account request", TierAccountRequest,
    bodies={"create": TierAccountRequestCreate, "ignore": Ignore},
)  # fmt: skip
