"""The pages' Django app."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Sign-in; the pages come with the portal."""

    name = "portal"
