"""The catalogue in the admin; Django finds this module, and it brings the pages in."""

from requests_queue.catalog.admin import accounts, directory, products, subscriptions

__all__ = ["accounts", "directory", "products", "subscriptions"]
