"""Billing requests of the demo subscriptions.

The vendor's for each past period, and two of the provider.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

from requests_queue.catalog.models import Asset
from requests_queue.queues.billing import creation, periods, subscriptions
from requests_queue.queues.billing.models import (
    PROVIDER_TYPE,
    VENDOR_TYPE,
    BillingRequest,
    SubscriptionBilling,
)
from requests_queue.seed.orders import SUBSCRIPTIONS
from requests_queue.seed.rows import add_missing

# Attributes of the first request of a subscription, by the type of the request.
_ATTRIBUTES: dict[str, dict[str, dict[str, Any]]] = {
    "AS-5810-2277-4093": {
        VENDOR_TYPE: {"vendor": {"invoice": "NB-2026-4093-01"}},
        PROVIDER_TYPE: {"provider": {"invoice": "NL-88120", "margin": "12%"}},
    },
    "AS-2934-6610-1216": {
        VENDOR_TYPE: {},
        PROVIDER_TYPE: {"provider": {"invoice": "NL-88134"}},
    },
}


def add_billing(at: datetime) -> dict[str, int]:
    """Add the billing of each demo subscription, and the requests of its past periods."""
    assets = subscriptions.with_activation(
        Asset.objects.select_related("connection").filter(
            pk__in=[row.id for row in SUBSCRIPTIONS], status__in=subscriptions.BILLABLE
        )
    )
    rows = [subscriptions.build(asset, at) for asset in assets.order_by("pk")]
    requests = [request for row in rows for request in _requests(row)]
    return {
        "billing periods": add_missing(rows),
        "billing requests": add_missing(requests),
    }


def _requests(row: SubscriptionBilling) -> list[BillingRequest]:
    """Return the requests for the periods before the current one."""
    asset, length = row.asset, periods.MONTHS.get(row.period_uom, 0)
    boundaries = [row.started] if length else []
    while boundaries and boundaries[-1] < row.billed_to:
        following = periods.next_boundary(row.started, row.period_uom, boundaries[-1])
        if following is None:
            break
        boundaries.append(following)
    items = [item for item in asset.items if periods.months_of(item) == length]
    requests: list[BillingRequest] = []
    for kind, first_attributes in _ATTRIBUTES.get(asset.pk, {VENDOR_TYPE: {}}).items():
        before: list[BillingRequest] = []
        for start, end in pairwise(boundaries):
            period = subscriptions.period(row, start, end)
            attributes = {} if before else first_attributes
            before.append(creation.build(asset, kind, items, period, end, before, attributes))
        requests += before
    return requests
