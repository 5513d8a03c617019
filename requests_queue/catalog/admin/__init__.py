"""Admin pages of the catalog."""

from requests_queue.catalog.admin import directory, people, products

__all__ = ["directory", "people", "products"]
