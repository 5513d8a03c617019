"""Admin pages of the catalog."""

from requests_queue.catalog.admin import directory, products

__all__ = ["directory", "products"]
