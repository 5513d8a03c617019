"""The portal's Django app."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The pages for vendors and distributors."""

    name = "portal"
