"""The Django app of webhooks."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Webhooks: their API, their admin, and the delivery of events to handlers."""

    name = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        """Connect the signal receivers, and register pruning."""
        from requests_queue.db import retention
        from webhooks import pruning, receivers  # noqa: F401  (connects on import)

        retention.KINDS.append(pruning.Deliveries())
