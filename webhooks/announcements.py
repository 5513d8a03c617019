"""Announce to open pages what changes in webhooks and deliveries (`requests_queue.topics`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from requests_queue import topics

WEBHOOKS, DELIVERIES = "webhooks", "deliveries"


def announce(account: str, webhook: str, *deliveries: int) -> None:
    """Announce that a webhook of an account has changed, and deliveries of it."""
    topics.announce(
        {account},
        WEBHOOKS,
        DELIVERIES,
        topics.one(WEBHOOKS, webhook),
        *(topics.one(DELIVERIES, pk) for pk in deliveries),
    )


def announce_events(accounts: Collection[str], deliveries: Sequence[tuple[str, int]]) -> None:
    """Announce deliveries of webhooks, each with the id of its webhook, in one notice."""
    topics.announce(
        accounts,
        WEBHOOKS,
        DELIVERIES,
        *(topics.one(WEBHOOKS, webhook) for webhook, _ in deliveries),
        *(topics.one(DELIVERIES, pk) for _, pk in deliveries),
    )
