"""The pages' Django app."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Sign-in, and the inquiring form; the other pages come with the portal."""

    name = "portal"
