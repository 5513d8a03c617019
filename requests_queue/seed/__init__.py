"""The demo data: a vendor's catalogue, its customers, and requests in every status.

The same ids and texts on every machine, dates relative to the first seed. No webhook: the first
one is the user's. Only the passwords, which fit nothing, the codes of inquiring forms, which
open them, and the secrets of actions differ: nobody may know those of somebody else's sandbox.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from requests_queue import database_limits
from requests_queue.catalog.models import Account
from requests_queue.seed import (
    accounts,
    billing,
    configurations,
    conversations,
    customers,
    listings,
    media,
    parameters,
    products,
    subscriptions,
    templates,
    tier_account,
    tier_config,
    usage,
)

_PARTS: tuple[Callable[[datetime], dict[str, int]], ...] = (
    accounts.add_users,
    accounts.add_places,
    products.add_products,
    media.add_media,
    parameters.add_parameters,
    configurations.add_configurations,
    templates.add_templates,
    accounts.add_lines,
    customers.add_customers,
    subscriptions.add_subscriptions,
    tier_config.add_configs,
    tier_account.add_changes,
    billing.add_billing,
    listings.add_listing_requests,
    usage.add_usage,
    conversations.add_conversations,
)


@dataclass(slots=True)
class Summary:
    """How many rows of which kind a seed has made."""

    made: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many rows of all kinds."""
        return sum(self.made.values())

    def __str__(self) -> str:
        if not self.total:
            return "Nothing to add: the demo data are there."
        return f"Demo data: {self.total} rows added."


def run(progress: Callable[[str], None]) -> Summary:
    """Add the demo data that are missing and return what was added; `progress` gets a line each.

    All or nothing. Rows that are there stay as they are, also those a user has changed.
    """
    summary = Summary()

    def tell(counts: dict[str, int]) -> None:
        summary.made |= counts
        for kind, count in counts.items():
            progress(f"  {kind:<14} {count or 'nothing to add'}")

    with database_limits.lifted(transactions=True), transaction.atomic():
        tell({"accounts": accounts.add_accounts()})
        at = accounts.base()
        for part in _PARTS:
            tell(part(at))
    return summary


def is_empty() -> bool:
    """Whether there is no account yet, and so nothing that anybody could work with."""
    return not Account.objects.exists()
