"""The versions of a tier account: each change keeps what was and what is, and tells of it."""

from __future__ import annotations

from collections.abc import Container

from django.dispatch import Signal

from requests_queue.catalog.models import TierAccount, TierAccountVersion

# Sent in the transaction of a change.  kwargs: version (the TierAccountVersion that it made), now
tier_account_changed = Signal()

SCOPES = ("customer", "tier1", "tier2")
_COPIED = (
    "version", "name", "type", "external_id", "external_uid", "tax_id", "environment",
    "contact_info", "created", "updated", "decommissioned", "parent", "hub",
)  # fmt: skip


def keep(row: TierAccount) -> TierAccountVersion:
    """Store the account as it is as its version, and return that; one that is there stays."""
    said = {name: getattr(row, name) for name in _COPIED}
    found, _ = TierAccountVersion.objects.get_or_create(
        account=row, version=row.version, defaults=said
    )
    return found


def as_account(version: TierAccountVersion, scopes: Container[str]) -> TierAccount:
    """Return the account as it was in a version, not to be saved; `catalog.shape` shows it.

    `scopes` are the tiers that it stands in.
    """
    said = {name: getattr(version, name) for name in _COPIED}
    row = TierAccount(id=version.account_id, owner=version.account.owner, **said)
    for scope in SCOPES:
        setattr(row, f"as_{scope}", scope in scopes)
    return row
