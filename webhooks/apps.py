"""The Django app of webhooks."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Webhooks: their API, their admin, and the delivery of events to handlers."""

    name = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        """Connect the signal receivers."""
        from webhooks import receivers  # noqa: F401  (connects on import)
