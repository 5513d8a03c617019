"""The versions of a tier account: a change stores the former and the new version."""

from __future__ import annotations

from collections.abc import Container

from django.dispatch import Signal

from requests_queue.catalog.models import TierAccount, TierAccountVersion

# Sent in the transaction of a change.  kwargs: version (the new TierAccountVersion), now
tier_account_changed = Signal()

SCOPES = ("customer", "tier1", "tier2")
_COPIED = (
    "version",
    "name",
    "type",
    "external_id",
    "external_uid",
    "tax_id",
    "environment",
    "contact_info",
    "created",
    "updated",
    "decommissioned",
    "parent",
    "hub",
)


def keep(row: TierAccount) -> TierAccountVersion:
    """Store the account as its current version, if it is not stored, and return that."""
    values = {name: getattr(row, name) for name in _COPIED}
    found, _ = TierAccountVersion.objects.get_or_create(
        account=row, version=row.version, defaults=values
    )
    return found


def as_account(version: TierAccountVersion, scopes: Container[str]) -> TierAccount:
    """Return an unsaved account with the values of a version, for its representation.

    `scopes` are the tiers that it has in assets.
    """
    values = {name: getattr(version, name) for name in _COPIED}
    row = TierAccount(id=version.account_id, owner=version.account.owner, **values)
    for scope in SCOPES:
        setattr(row, f"as_{scope}", scope in scopes)
    return row
