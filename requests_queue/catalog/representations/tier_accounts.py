"""Tier accounts: customers and resellers, in orders and by themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from django.db.models import Q

from requests_queue.api.filter_tables import looked_up, parts
from requests_queue.api.resources import HAPPENED, NAMED, Constant, Field, Part, Resource, absent
from requests_queue.catalog.models import TierAccount
from requests_queue.catalog.representations import PICTURED, REGION
from requests_queue.catalog.schema import ContactInfo, Environment
from requests_queue.catalog.tier_versions import SCOPES

_KEYS: dict[str, Any] = {
    "id": str,
    "version": int,
    "name": str,
    "type": Literal["customer", "reseller"],
    "external_id": str,
    "external_uid": str,
    "tax_id": str,
    "environment": Environment,
    "contact_info": Field(ContactInfo, unfiltered=True),
}
TIER = Part(
    "Tier",
    "A customer or a reseller of an order; empty where there is none.",
    _KEYS,
    named=("id", "name", "external_id", "external_uid"),
    required=False,
)


def scopes_of(row: Any) -> list[str]:
    """Return the tiers that the account has in subscriptions, from the view's annotations."""
    return [scope for scope in SCOPES if getattr(row, f"as_{scope}")]


TIER_ACCOUNT = Resource(
    "TierAccount",
    "A customer or a reseller; `scopes` are its tiers in subscriptions.",
    {
        **_KEYS,
        "db": Constant(REGION, str),
        "parent": Field(replace(NAMED, keys={**NAMED.keys, "external_id": str}), empty={}),
        "owner": Field(PICTURED),
        "scopes": Field(list[Literal["customer", "tier1", "tier2"]], scopes_of),
        "events": Part(
            "TierAccountEvents",
            "The moments of a tier account.",
            {
                "created": Field(HAPPENED),
                "updated": Field(HAPPENED),
                "decommissioned": Field(HAPPENED, optional=True),
            },
        ),
        # Left out where there is none: the document's reference can't be null.
        "hub": Field(NAMED, optional=True),
    },
    model=TierAccount,
    search=("id", "name", "external_id", "external_uid"),
    also={
        "parent.parent.id": "parent__parent__id",
        "contact_info.contact.email": Field(str, "contact_email"),
        **absent("events.created.by", "events.updated.by"),
    },
    custom=[
        looked_up(
            "scopes", lambda scope: Q(**{f"as_{scope}": True}) if scope in SCOPES else Q(pk__in=())
        ),
        *parts("contact_info.contact"),
    ],
)
