"""The emitter's Django app."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """`/notifications/webhooks` and everything that calls a handler."""

    name = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        """Listen to the queues."""
        from webhooks import receivers  # noqa: F401  (connects on import)
