"""What billing requests and the subscriptions behind them look like in the API.

`GET /subscriptions/requests/{id}` and `GET /subscriptions/assets/{id}` of Connect's OpenAPI
document: numbers are numbers, words small, unlike in `/requests` and `/assets`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from requests_queue.catalog import templates
from requests_queue.catalog.models import Asset, TierAccount
from requests_queue.catalog.representations import account_ref, icon, marketplace_ref
from requests_queue.queues.billing.models import BillingRequest, SubscriptionBilling
from requests_queue.queues.billing.parsing import quantity
from requests_queue.queues.billing.periods import MONTHS
from requests_queue.resources import event_at, format_datetime
from requests_queue.schema import Json


def request(row: BillingRequest) -> Json:
    """Return a billing request."""
    return {
        "id": row.id,
        "type": row.type,
        "events": {"created": event_at(row.created), "updated": event_at(row.updated)},
        "asset": _asset(row.asset),
        "items": row.items,
        "attributes": row.attributes,
        "period": _period(row),
    }


def attributes(held: Mapping[str, Any]) -> Json:
    """Return the attributes as `PUT …/attributes` answers them: both sides."""
    return {"vendor": held.get("vendor", {}), "provider": held.get("provider", {})}


def subscription(row: Asset) -> Json:
    """Return a subscription as `GET /subscriptions/assets` lists it; `open_requests` is there."""
    found = {**_asset(row), "items": [_item(item) for item in _reserved(row)]}
    if row.template:
        found["template"] = {"id": row.template.id, "name": row.template.name}
    pending: Any = next(iter(row.open_requests), None)  # type: ignore[attr-defined]
    if pending:
        found["pending_request"] = {
            "id": pending.id, "type": pending.type, "status": pending.status,
        }  # fmt: skip
        template = templates.shown(pending.status, pending.template, row.product, "asset")
        if template:
            found["pending_request"]["template"] = {"id": template.id, "name": template.name}
    return found


def counted(row: Asset, requests: Iterable[BillingRequest], kinds: Iterable[str]) -> Json:
    """Return a subscription's detail: with how often it and its items were billed.

    `requests` are those that the caller may see, the oldest first; `kinds` their types.
    """
    made, kinds = list(requests), tuple(kinds)
    found = subscription(row)
    found["billing"] = {**found.get("billing", {}), "stats": _stats(made, kinds)}
    for item in found["items"]:
        name = item["global_id"]
        with_it = [r for r in made if any(i["global_id"] == name for i in r.items)]
        item["billing"] = {"stats": _stats(with_it, kinds)}
    return found


def _stats(made: list[BillingRequest], kinds: tuple[str, ...]) -> Json:
    found = {}
    for kind in kinds:
        rows = [row for row in made if row.type == kind]
        last = {"id": rows[-1].id, "type": kind, "period": _period(rows[-1])} if rows else {}
        found[kind] = {"last_request": last, "count": len(rows)}
    return found


def _period(row: BillingRequest) -> Json:
    return {
        "from": format_datetime(row.period_from),
        "to": format_datetime(row.period_to),
        "delta": row.period_delta,
        "uom": row.period_uom,
    }


def _asset(row: Asset) -> Json:
    product, connection = row.product, row.connection
    tiers = {"customer": row.customer, "tier1": row.tier1, "tier2": row.tier2}
    found = {
        "id": row.id,
        "status": row.status,
        "events": {"created": event_at(row.created), "updated": event_at(row.updated)},
        "external_id": row.external_id,
        "external_uid": row.external_uid,
        "product": {
            "id": product.id,
            "name": product.name,
            "status": product.status,
            "icon": icon(product),
        },
        "connection": {
            "id": connection.public_id,
            "type": connection.type,
            "provider": account_ref(connection.provider),
            "vendor": account_ref(connection.vendor),
            "hub": {"id": connection.hub_id, "name": connection.hub.name},
        },
        "params": [_param(param) for param in row.params],
        # An empty tier is left out here: captured so.
        "tiers": {name: _tier(tier) for name, tier in tiers.items() if tier},
        "marketplace": marketplace_ref(row.marketplace),
        "contract": {"id": row.contract_id, "name": row.contract.name},
        "renewal_expiration_date": None,
    }
    billing = getattr(row, "billing", None)
    # Clients that find the key look for the period in it.
    return {**found, "billing": _billing(billing)} if billing and billing.period_uom else found


def _tier(row: TierAccount) -> Json:
    return {
        "id": row.id,
        "external_id": row.external_id,
        "external_uid": row.external_uid,
        "name": row.name,
        "tax_id": row.tax_id,
        "contact_info": row.contact_info,
    }


def _param(param: Mapping[str, Any]) -> Json:
    found = {
        "id": param["id"],
        # The title, unlike in requests: captured so.
        "name": param["title"],
        "description": param["description"],
        "type": param["type"],
        "value": param["value"],
        "value_error": param["value_error"],
    }
    if "structured_value" in param:
        found["structured_value"] = param["structured_value"]
    return found


def _reserved(row: Asset) -> list[Json]:
    """Return the items that are paid by the period; what is used is billed by usage files."""
    return [item for item in row.items if item["item_type"] != "PPU"]


def _item(item: Mapping[str, Any]) -> Json:
    names = ("id", "global_id", "display_name", "mpn", "type")
    return {
        **{name: item[name] for name in names},
        "item_type": str(item["item_type"]).lower(),
        "period": str(item["period"]).lower(),
        "quantity": quantity(item),
    }


def _billing(row: SubscriptionBilling) -> Json:
    anniversary = {"day": row.anniversary_day}
    if MONTHS[row.period_uom] % 12 == 0:
        anniversary["month"] = row.anniversary_month
    found: Json = {
        "period": {"delta": row.period_delta, "uom": row.period_uom},
        "anniversary": anniversary,
    }
    if row.next_date:
        found["next_date"] = format_datetime(row.next_date)
    return found
