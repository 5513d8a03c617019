"""Announce to open pages what changes in webhooks and deliveries (`requests_queue.topics`)."""

from __future__ import annotations

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
