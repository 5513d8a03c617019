"""The portal's Django app."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The pages for vendors and distributors."""

    name = "portal"

    def ready(self) -> None:
        """Add the portal's own lookups to the command palette."""
        from portal.palette import builtin

        builtin.register()
