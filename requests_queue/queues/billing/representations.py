"""Billing requests and the subscriptions behind them.

`GET /subscriptions/requests/{id}` and `GET /subscriptions/assets/{id}` of Connect's OpenAPI
document: quantities are numbers and words lowercase, unlike in `/requests` and `/assets`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import itemgetter, methodcaller
from typing import Any, Literal, TypedDict, get_args

from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

from requests_queue.api.filter_tables import parts
from requests_queue.api.inside_json import inside_json
from requests_queue.api.resources import MADE, NAMED, Constant, Field, Many, Part, Resource
from requests_queue.api.schema import Free, Json, Stamp
from requests_queue.catalog.models import Asset
from requests_queue.catalog.representations import PICTURED, PRODUCT_REFERENCE
from requests_queue.catalog.schema import AssetStatus, ContactInfo, Environment
from requests_queue.queues.billing.models import BillingRequest, SubscriptionBilling
from requests_queue.queues.billing.parsing import quantity
from requests_queue.queues.billing.periods import MONTHS
from requests_queue.queues.fulfillment.representations import PENDING_REQUEST

Type = Literal["vendor", "provider"]


class Attributes(TypedDict, total=False):
    """What each side keeps beside a billing request; vendors don't see the provider's."""

    vendor: Free
    provider: Free


_LENGTH = Part(
    "PeriodLength",
    "How long a billing period is.",
    {"delta": Field(float, "period_delta"), "uom": Field(str, "period_uom")},
)
_PERIOD = Part(
    "Period",
    "From when to when, and how long a period is: `delta` times `uom`.",
    {"from": Field(Stamp, "period_from"), "to": Field(Stamp, "period_to"), **_LENGTH.keys},
)
_LAST_REQUEST = Part(
    "LastRequest",
    "The latest billing request of a type; empty where there is none.",
    {"id": str, "type": Type, "period": _PERIOD},
    required=False,
)
# Of a list of requests, the oldest first.
_COUNT = Part(
    "BillingCount",
    "How many billing requests of a type, and the latest.",
    {
        "last_request": Field(_LAST_REQUEST, lambda rows: rows[-1] if rows else None, empty={}),
        "count": Field(int, len),
    },
)
# Of such lists by type.
_STATS = Part(
    "BillingStats",
    "Billing requests by type.",
    {name: Field(_COUNT, methodcaller("get", name), optional=True) for name in get_args(Type)},
)
_ANNIVERSARY = Part(
    "Anniversary",
    "The day that periods begin on; of years the month, too.",
    {
        "day": Field(int, "anniversary_day"),
        "month": Field(
            int,
            lambda row: row.anniversary_month if MONTHS[row.period_uom] % 12 == 0 else None,
            optional=True,
        ),
    },
    required=False,
)
_BILLING = Part(
    "AssetBilling",
    "When a subscription is billed.",
    {
        "period": _LENGTH,
        "anniversary": _ANNIVERSARY,
        "next_date": Field(Stamp, optional=True),
        # Added by `with_stats`.
        "stats": Field(_STATS, lambda row: None, optional=True),
    },
    required=False,
)


def _texts(*names: str) -> dict[str, Field]:
    return {name: Field(str, itemgetter(name)) for name in names}


def _billing(row: Asset) -> SubscriptionBilling | None:
    """Return how a subscription is billed; clients that find the key look for the period in it."""
    billing = getattr(row, "billing", None)
    return billing if billing and billing.period_uom else None


_CONNECTION = Part(
    "BilledConnection",
    "A connection, as billing has it.",
    {
        "id": Field(str, "public_id"),
        "type": Environment,
        "provider": Field(PICTURED),
        "vendor": Field(PICTURED),
        "hub": Field(NAMED),
    },
    named=("id", "type"),
)
# Parameters and items are rows of JSON.
_PARAMETER = Part(
    "BilledParameter",
    "A parameter's value, as billing has it.",
    {
        "id": Field(str, itemgetter("id")),
        # The title, unlike in requests: captured so.
        "name": Field(str, itemgetter("title")),
        **_texts("description", "type", "value", "value_error"),
        "structured_value": Field(Any, methodcaller("get", "structured_value"), optional=True),
    },
)
_TIER = Part(
    "BilledTier",
    "A customer or a reseller, as billing has it.",
    {
        **dict.fromkeys(("id", "external_id", "external_uid", "name", "tax_id"), str),
        "contact_info": ContactInfo,
    },
    named=("id", "name", "external_id", "external_uid"),
)
# An empty tier is left out here: captured so.
_TIERS = Part(
    "BilledTiers",
    "Who buys, and through whom.",
    dict.fromkeys(("customer", "tier1", "tier2"), Field(_TIER, optional=True)),
)
ITEM = Part(
    "BilledItem",
    "An item of a subscription; quantities are numbers here.",
    {
        **_texts("id", "global_id", "display_name", "mpn", "type"),
        # Lowercase here, capitalized in requests: captured so.
        "item_type": Field(str, lambda item: str(item["item_type"]).lower()),
        "period": Field(str, lambda item: str(item["period"]).lower()),
        "quantity": Field(float, quantity),
    },
)
_ITEM_OF_REQUEST = Part(
    "BillingRequestItem",
    "An item of a billing request.",
    {**ITEM.keys, "billing": Part("Cycle", "Which time this is.", {"cycle_number": int})},
)
_ITEM_BILLING = Part("ItemBilling", "How often an item has been billed.", {"stats": Field(_STATS)})
_ITEM_DETAIL = Part(
    "BilledItemDetail",
    "An item of a subscription, with how often it has been billed.",
    {**ITEM.keys, "billing": _ITEM_BILLING},
)
_ASSET: dict[str, Any] = {
    "id": str,
    "status": AssetStatus,
    "events": MADE,
    "external_id": str,
    "external_uid": str,
    "product": Field(PRODUCT_REFERENCE),
    "connection": Field(_CONNECTION),
    "params": Many(_PARAMETER, lambda row: row.params),
    "tiers": _TIERS,
    "marketplace": Field(PICTURED),
    "contract": Field(replace(NAMED, named=("id",))),
    "billing": Field(_BILLING, _billing, optional=True),
    "renewal_expiration_date": Constant(None, Stamp | None),
}
_ROUTES = {"billing.next_date": "billing__next_date", "billing.period.uom": "billing__period_uom"}
_BILLED_ASSET = Part(
    "BilledAsset",
    "The subscription of a billing request.",
    _ASSET,
    named=("id", "status", "external_id", "external_uid"),
)
# A parameter's name is its title here.
_PARAMS = {"id": "id", "name": "title", "value": "value"}


def _of_subscription(condition: Q) -> Q:
    """Return the condition on a billing request that its subscription meets one.

    That names its table, so it stays a query of its own, which the ORM doesn't rename.
    """
    assets = Asset.objects.filter(condition).order_by().values("pk")
    sql, values = assets.query.sql_with_params()
    table = BillingRequest._meta.db_table
    return Q(RawSQL(f'"{table}"."asset_id" IN ({sql})', values, output_field=BooleanField()))


BILLING_REQUEST = Resource(
    "BillingRequest",
    "A billing request: what a subscription is billed for a period.",
    {
        "id": str,
        "type": Type,
        "events": MADE,
        "asset": Field(_BILLED_ASSET),
        "items": Field([_ITEM_OF_REQUEST], unfiltered=True),
        "attributes": Field(Attributes, unfiltered=True),
        "period": _PERIOD,
    },
    model=BillingRequest,
    search=("id",),
    also={f"asset.{name}": f"asset__{route}" for name, route in _ROUTES.items()},
    custom=inside_json(
        Asset,
        "params",
        {f"asset.params.{name}": key for name, key in _PARAMS.items()},
        _of_subscription,
    ),
)
SUBSCRIPTION = Resource(
    "RecurringAsset",
    "A subscription, as billing sees it.",
    {
        **_ASSET,
        # Usage files bill what is paid by use.
        "items": Many(ITEM, lambda row: [i for i in row.items if i["item_type"] != "PPU"]),
        "template": Field(NAMED, optional=True),
        # Prefetched by the view.
        "pending_request": PENDING_REQUEST,
    },
    model=Asset,
    also=_ROUTES,
    custom=[
        *inside_json(Asset, "params", {f"params.{name}": key for name, key in _PARAMS.items()}),
        *parts("pending_request.template"),
    ],
)
SUBSCRIPTION_DETAIL = Part(
    "RecurringAssetDetail",
    "A subscription, as billing sees it, with what has been billed.",
    {**SUBSCRIPTION.keys, "items": Field([_ITEM_DETAIL])},
)


def with_stats(row: Asset, requests: Iterable[BillingRequest], types: Sequence[str]) -> Json:
    """Return a subscription's detail: with how often it and its items were billed.

    `requests` are those that the caller may see, the oldest first; `types` their types.
    """
    rows, data = list(requests), SUBSCRIPTION.represent(row)

    def stats(rows: list[BillingRequest]) -> Json:
        by_type = {name: [row for row in rows if row.type == name] for name in types}
        return {"stats": _STATS.represent(by_type)}

    data["billing"] = data.get("billing", {}) | stats(rows)
    for item in data["items"]:
        name = item["global_id"]
        item["billing"] = stats([r for r in rows if any(i["global_id"] == name for i in r.items)])
    return data
