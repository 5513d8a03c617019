"""The tier configuration queue's Django app."""

from django.apps import AppConfig


class TierConfigConfig(AppConfig):
    """`/tier/config-requests` and `/tier/configs`, object class `tier_config_request`."""

    name = "requests_queue.queues.tier_config"
    label = "tier_config"
    verbose_name = "Tier configuration queue"

    def ready(self) -> None:
        """Register the queue, and listen to the fulfillment queue and the clock."""
        from requests_queue.queues import base
        from requests_queue.queues.tier_config import due, receivers, rules  # noqa: F401

        base.register(rules.QUEUE)
