"""The Django app of webhooks."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Webhooks: their API, their admin, and the delivery of events to handlers."""

    name = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        """Connect the signal receivers, and publish notices to other processes."""
        from webhooks import receivers, topic_messages  # noqa: F401  (connects on import)

        topic_messages.start()
