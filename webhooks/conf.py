"""The emitter's settings, checked and typed, read from Django's where they are used."""

from __future__ import annotations

from django.conf import settings

from webhooks.retry import Policy
from webhooks.types import PLURALS


def policy() -> Policy:
    """Return the retry policy."""
    return Policy(
        settings.SIM_RETRY_BASE,
        settings.SIM_RETRY_FACTOR,
        settings.SIM_RETRY_CAP,
        settings.SIM_FAILURE_LIMIT,
    )


def api_url() -> str:
    """Return the address that handlers call back, without a slash at the end."""
    return f"{settings.SIM_API_URL}/public/v1"


def sent_object_class(object_class: str) -> str:
    """Return the object class in the form that payloads carry."""
    if settings.SIM_OBJECT_CLASS_FORM == "singular":
        return object_class
    return PLURALS.get(object_class, f"{object_class}s")
