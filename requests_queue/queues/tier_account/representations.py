"""Tier account requests: `GET /tier/account-requests/{id}`."""

from __future__ import annotations

from typing import Literal

from requests_queue.api.filter_tables import parts
from requests_queue.api.resources import MADE, Field, Resource
from requests_queue.catalog.representations import PICTURED, PRODUCT_REFERENCE
from requests_queue.catalog.representations.tier_accounts import TIER_ACCOUNT
from requests_queue.catalog.tier_versions import as_account
from requests_queue.queues.tier_account.models import TierAccountRequest

TIER_ACCOUNT_REQUEST = Resource(
    "TierAccountRequest",
    "The vendor is asked whether it keeps a change of a customer or reseller.",
    {
        "id": str,
        "type": Literal["update"],
        "status": Literal["pending", "unsupported", "accepted", "ignored"],
        "account": Field(TIER_ACCOUNT, lambda row: as_account(row.account, row.scopes)),
        "vendor": Field(PICTURED),
        "provider": Field(PICTURED),
        "product": Field(PRODUCT_REFERENCE),
        "reason": str,
        "events": MADE,
    },
    model=TierAccountRequest,
    search=("id",),
    also={
        "account.id": "account__account__id",
        "account.external_id": "account__external_id",
        "account.external_uid": "account__external_uid",
        "account.name": "account__name",
        "account.type": "account__type",
        "account.version": "account__version",
        "account.environment": "account__environment",
        "account.hub.id": "account__hub__id",
        "account.hub.name": "account__hub__name",
    },
    custom=parts("account.contact_info"),
)
