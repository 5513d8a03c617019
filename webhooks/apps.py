"""The Django app of webhooks."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Webhooks: their API, their admin, and the delivery of events to handlers."""

    name = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        """Connect the signal receivers, publish notices to other processes, register pruning."""
        from requests_queue import retention
        from webhooks import pruning, receivers, topic_messages  # noqa: F401  (connects on import)

        topic_messages.start()
        retention.KINDS.append(pruning.Deliveries())
