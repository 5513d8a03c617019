"""The catalog's Django app."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Directory objects of Connect."""

    name = "requests_queue.catalog"
    label = "catalog"
    verbose_name = "Catalog"
