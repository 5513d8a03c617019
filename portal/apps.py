"""The portal's Django app."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The pages for vendors and distributors."""

    name = "portal"

    def ready(self) -> None:
        """Add the palette's own lookups, keep what bulk jobs need, publish notices of topics."""
        from portal.deliveries import bulk
        from portal.live import deliveries, topic_messages  # noqa: F401  (connects on import)
        from portal.palette import builtin
        from webhooks import pruning

        builtin.register()
        topic_messages.start()
        pruning.KEEPERS.append(bulk.referenced)
