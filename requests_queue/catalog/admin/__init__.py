"""Admin pages of the catalog."""

from requests_queue.catalog.admin import accounts, directory, products

__all__ = ["accounts", "directory", "products"]
