"""The emitter in the admin; Django finds this module, and it brings the pages in."""

from webhooks.admin import log, webhook

__all__ = ["log", "webhook"]
