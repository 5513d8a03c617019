"""The demo data: a vendor's products, its customers, and requests in every status.

Ids and texts are the same on every machine, and dates are relative to the first seed. Only
secrets differ: unusable passwords, codes of inquiring forms, and secrets of actions. There are
no webhooks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from requests_queue.catalog.models import Account
from requests_queue.db import database_limits
from requests_queue.seed import (
    accounts,
    billing,
    cases,
    conversations,
    customers,
    listings,
    parameters,
    products,
    subscriptions,
    templates,
    tier_config,
    usage,
)

_PARTS: tuple[Callable[[datetime], dict[str, int]], ...] = (
    accounts.add_users,
    accounts.add_marketplaces,
    products.add_products,
    products.add_media,
    parameters.add_parameters,
    parameters.add_configurations,
    templates.add_templates,
    products.add_versions,
    accounts.add_connections,
    customers.add_customers,
    subscriptions.add_subscriptions,
    tier_config.add_configs,
    customers.add_changes,
    billing.add_billing,
    listings.add_listing_requests,
    usage.add_usage,
    cases.add_cases,
    conversations.add_conversations,
)


@dataclass(slots=True)
class Summary:
    """Numbers of the rows that a seed has added, by kind."""

    added: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """The number of all added rows."""
        return sum(self.added.values())

    def __str__(self) -> str:
        if not self.total:
            return "The demo data exists already. Nothing was added."
        return f"Demo data: {self.total} rows added."


def run(progress: Callable[[str], None]) -> Summary:
    """Add missing demo data in one transaction; call `progress` with a line for each kind.

    Existing rows stay as they are, also those that a user has changed.
    """
    summary = Summary()

    def report(counts: dict[str, int]) -> None:
        summary.added |= counts
        for kind, count in counts.items():
            progress(f"  {kind:<14} {count or 'nothing to add'}")

    with database_limits.lifted(transactions=True), transaction.atomic():
        report({"accounts": accounts.add_accounts()})
        at = accounts.first_seed()
        for part in _PARTS:
            report(part(at))
    return summary


def is_empty() -> bool:
    """Return whether the database has no account yet."""
    return not Account.objects.exists()
