"""The types of billing requests, and of subscriptions as billing sees them, in the document."""

from typing import Any, Literal, NotRequired, TypedDict

from requests_queue.catalog.schema import AssetStatus, ContactInfo, Environment, ProductReference
from requests_queue.schema import (
    Answer,
    Documented,
    Free,
    Made,
    Named,
    Pictured,
    Stamp,
)

Unit = Literal["monthly", "yearly", "years_2", "years_3", "years_4", "years_5", "years_6"]
Period = TypedDict("Period", {"from": Stamp, "to": Stamp, "delta": float, "uom": str})
Period.__doc__ = "From when to when, and how long a period is: `delta` times `uom`."


class BilledConnection(TypedDict):
    """A connection, as billing has it."""

    id: str
    type: Environment
    provider: Pictured
    vendor: Pictured
    hub: Named


class BilledParameter(TypedDict):
    """A parameter's value, as billing has it."""

    id: str
    name: str
    description: str
    type: str
    value: str
    value_error: str
    structured_value: NotRequired[Any]


class BilledTier(TypedDict):
    """A customer or a reseller, as billing has it."""

    id: str
    external_id: str
    external_uid: str
    name: str
    tax_id: str
    contact_info: ContactInfo


class BilledTiers(TypedDict, total=False):
    """Who buys, and through whom."""

    customer: BilledTier
    tier1: BilledTier
    tier2: BilledTier


class PeriodLength(TypedDict):
    """How long a billing period is."""

    delta: float
    uom: str


class Anniversary(TypedDict, total=False):
    """The day that periods begin on; of years the month, too."""

    day: int
    month: int


class LastRequest(TypedDict, total=False):
    """The latest billing request of a type; empty where there is none."""

    id: str
    type: Literal["vendor", "provider"]
    period: Period


class BillingCount(TypedDict):
    """How many billing requests of a type, and the latest."""

    last_request: LastRequest
    count: int


class BillingStats(TypedDict, total=False):
    """Billing requests by type."""

    vendor: BillingCount
    provider: BillingCount


class AssetBilling(TypedDict, total=False):
    """When a subscription is billed."""

    period: PeriodLength
    anniversary: Anniversary
    next_date: Stamp
    stats: BillingStats


class BilledItem(TypedDict):
    """An item of a subscription; quantities are numbers here."""

    id: str
    global_id: str
    display_name: str
    mpn: str
    type: str
    item_type: str
    period: str
    quantity: float


class ItemBilling(TypedDict):
    """How often an item has been billed."""

    stats: BillingStats


class BilledItemDetail(BilledItem):
    """An item of a subscription, with how often it has been billed."""

    billing: ItemBilling


class PendingRequest(TypedDict):
    """The open fulfillment request of a subscription."""

    id: str
    type: str
    status: str
    template: NotRequired[Named]


class _BilledAsset(TypedDict):
    id: str
    status: AssetStatus
    events: Made
    external_id: str
    external_uid: str
    product: ProductReference
    connection: BilledConnection
    params: list[BilledParameter]
    tiers: BilledTiers
    marketplace: Pictured
    contract: Named
    billing: NotRequired[AssetBilling]
    renewal_expiration_date: Stamp | None


class BilledAsset(_BilledAsset):
    """The subscription of a billing request."""


class RecurringAsset(_BilledAsset):
    """A subscription, as billing sees it."""

    items: list[BilledItem]
    pending_request: NotRequired[PendingRequest]
    template: NotRequired[Named]


class RecurringAssetDetail(_BilledAsset):
    """A subscription, as billing sees it, with what has been billed."""

    items: list[BilledItemDetail]
    pending_request: NotRequired[PendingRequest]
    template: NotRequired[Named]


class Cycle(TypedDict):
    """Which time this is."""

    cycle_number: int


class BillingRequestItem(BilledItem):
    """An item of a billing request."""

    billing: Cycle


class Attributes(TypedDict, total=False):
    """What each side keeps beside a billing request; vendors don't see the provider's."""

    vendor: Free
    provider: Free


class BillingRequest(TypedDict):
    """A billing request: what a subscription is billed for a period."""

    id: str
    type: Literal["vendor", "provider"]
    events: Made
    asset: BilledAsset
    items: list[BillingRequestItem]
    attributes: Attributes
    period: Period


BILLING_REQUESTS = Documented(
    "Billing", "billing request", BillingRequest,
    answers={"attributes": Answer(200, Attributes)},
)  # fmt: skip
RECURRING_ASSETS = Documented(
    "Billing", "recurring subscription", RecurringAssetDetail, listed=RecurringAsset
)
