"""What a tier account request looks like in the API: `GET /tier/account-requests/{id}`."""

from __future__ import annotations

from requests_queue.catalog.representations import account_ref, icon, tier_account
from requests_queue.catalog.tier_versions import as_account
from requests_queue.queues.tier_account.models import TierAccountRequest
from requests_queue.resources import event_at
from requests_queue.schema import Json


def request(row: TierAccountRequest) -> Json:
    """Return a request with the version of the account that it is about."""
    product = row.product
    return {
        "id": row.id,
        "type": row.type,
        "status": row.status,
        "account": tier_account(as_account(row.account, row.scopes)),
        "vendor": account_ref(row.vendor),
        "provider": account_ref(row.provider),
        "product": {
            "id": product.id,
            "name": product.name,
            "icon": icon(product),
            "status": product.status,
        },
        "reason": row.reason,
        "events": {"created": event_at(row.created), "updated": event_at(row.updated)},
    }
