"""Changes of customers' addresses and contacts, and the requests about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from requests_queue import clock, ids
from requests_queue.catalog.models import Product, TierAccount, TierAccountVersion, User
from requests_queue.catalog.tier_versions import keep
from requests_queue.queues.tier_account.creation import UNSUPPORTED
from requests_queue.queues.tier_account.models import TierAccountRequest
from requests_queue.seed.accounts import VENDOR_USER
from requests_queue.seed.products import METER, SUITE
from requests_queue.seed.rows import add_missing


@dataclass(frozen=True, slots=True)
class Change:
    """One change: the account's values before it, and the requests about it.

    A request is (product, status, reason, hours after the change).
    """

    account: str
    days: float
    before: Mapping[str, Any]
    requests: tuple[tuple[str, str, str, float], ...]


_CHANGES = (
    Change(
        "TA-0418-2290-3372", 0.83, {"address_line1": "3 Berkeley Square", "postal_code": "BS8 1HB"},
        ((SUITE, "pending", "", 0),),
    ),
    Change(
        "TA-0418-2290-3389", 11.4, {"address_line2": "2A"},
        ((SUITE, "accepted", "", 3.2), (METER, "unsupported", UNSUPPORTED, 0)),
    ),
    Change(
        "TA-0418-2290-3334", 7.26, {"address_line1": "2700 Blake Street"},
        ((SUITE, "ignored", "The address is not kept by Nimbus.", 20.5),),
    ),
)  # fmt: skip


def add_changes(at: datetime) -> dict[str, int]:
    """Add the second version of three customers, and the requests about them."""
    versions = requests = 0
    for change in _CHANGES:
        when = clock.shown(at - timedelta(days=change.days))
        versions += _versions(change, when)
        now = TierAccountVersion.objects.filter(account=change.account, version=2).first()
        if now is not None:
            requests += add_missing(_requests(change, now, when))
    return {"tier account versions": versions, "tier account requests": requests}


def _versions(change: Change, when: datetime) -> int:
    """Add the versions of an account that has not changed since the seed; return their number."""
    fresh = TierAccount.objects.filter(pk=change.account, version=1, versions=None)
    row = fresh.filter(decommissioned=None).first()
    if row is None:
        return 0
    current = row.contact_info
    row.contact_info = {**current, **change.before}
    keep(row)
    row.contact_info, row.version, row.updated = current, 2, when
    row.save(update_fields=["version", "updated"])
    keep(row)
    return 2


def _requests(
    change: Change, version: TierAccountVersion, when: datetime
) -> list[TierAccountRequest]:
    products = Product.objects.in_bulk([product for product, *_ in change.requests])
    user = User.objects.filter(uid=VENDOR_USER).first()
    return [
        TierAccountRequest(
            pk=ids.next_in(f"{change.account}-001", "TAR-", taken),
            status=status,
            account=version,
            scopes=["customer"],
            reason=reason,
            product=products[product],
            vendor_id=products[product].owner_id,
            provider_id=version.account.owner_id,
            assignee=user if status in ("accepted", "ignored") else None,
            created=when,
            updated=clock.shown(when + timedelta(hours=hours)),
        )
        for taken, (product, status, reason, hours) in enumerate(change.requests)
        if product in products
    ]
