"""The portal's Django app."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The pages for vendors and distributors."""

    name = "portal"

    def ready(self) -> None:
        """Add the portal's own lookups to the command palette, and keep what bulk jobs need."""
        from portal.deliveries import bulk
        from portal.palette import builtin
        from webhooks import pruning

        builtin.register()
        pruning.KEEPERS.append(bulk.referenced)
