"""The pages' Django app."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """All pages that people use: what the API does, and what only a page can show."""

    name = "portal"
