"""Announce to open pages what changes in webhooks and deliveries (`requests_queue.topics`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from requests_queue import topics

WEBHOOKS, DELIVERIES = "webhooks", "deliveries"


def announce(account: str, webhook: str, *deliveries: int) -> None:
    """Announce that a webhook of an account has changed, and deliveries of it."""
    announce_all({account}, {webhook}, deliveries)


def announce_all(
    accounts: Collection[str], webhooks: Iterable[str], deliveries: Iterable[int]
) -> None:
    """Announce in one notice that webhooks of accounts have changed, and deliveries of them."""
    topics.announce(
        accounts,
        WEBHOOKS,
        DELIVERIES,
        *(topics.one(WEBHOOKS, pk) for pk in webhooks),
        *(topics.one(DELIVERIES, pk) for pk in deliveries),
    )
