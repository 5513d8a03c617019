"""The tier account queue's Django app."""

from django.apps import AppConfig


class TierAccountConfig(AppConfig):
    """`/tier/account-requests`, object class `tier_account_request`."""

    name = "requests_queue.queues.tier_account"
    label = "tier_account"
    verbose_name = "Tier account queue"

    def ready(self) -> None:
        """Register the queue; its births listen to changes of tier accounts."""
        from requests_queue.queues import base
        from requests_queue.queues.tier_account import rules

        base.register(rules.QUEUE)
