"""The admin of webhooks: Django discovers this module, which imports the pages."""

from webhooks.admin import log, webhook

__all__ = ["log", "webhook"]
