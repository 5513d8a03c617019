"""Combinations of settings that can't work, refused before they fail."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from connect_sim.server.proxies import TrustedProxies
from webhooks.addresses import parse_networks

_CHOICES = {
    "SIM_EVENT_MODE": ("each", "coalesce"),
    "SIM_JWT_HEADER": ("both", "authentication", "authorization"),
    "SIM_OBJECT_CLASS_FORM": ("plural", "singular"),
}
_POSITIVE = (
    "SIM_CALLS",
    "SIM_HTTP_TIMEOUT",
    "SIM_PROCESSING_TIMEOUT",
    "SIM_RETRY_BASE",
    "SIM_RETRY_CAP",
    "SIM_FAILURE_LIMIT",
    "SIM_MAX_IN_FLIGHT",
    "SIM_VALIDATION_TIMEOUT",
    "SIM_VALIDATIONS",
    "SIM_KEEP_DAYS",
    "SIM_DRAFT_DAYS",
    "SIM_CONNECTIONS",
    "SIM_MAX_BODY",
    "SIM_HEAD_TIMEOUT",
    "SIM_BODY_RATE",
    "SIM_BODY_WINDOW",
    "SIM_IDLE_TIMEOUT",
)


@register
def values(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Each setting has a value that means something."""
    found: list[CheckMessage] = []
    for name, allowed in _CHOICES.items():
        if getattr(settings, name) not in allowed:
            found.append(Error(f"{name} is one of {', '.join(allowed)}.", id="connect_sim.E001"))
    for name in _POSITIVE:
        if getattr(settings, name) <= 0:
            found.append(Error(f"{name} is greater than 0.", id="connect_sim.E002"))
    if settings.SIM_RETRY_FACTOR < 1:
        found.append(Error("SIM_RETRY_FACTOR is 1 or more.", id="connect_sim.E003"))
    try:
        parse_networks(settings.SIM_ALLOW_NETWORKS)
    except ValueError as error:
        found.append(Error(f"SIM_ALLOW_NETWORKS: {error}", id="connect_sim.E004"))
    try:
        TrustedProxies(settings.SIM_TRUSTED_PROXY)
    except ValueError as error:
        found.append(Error(str(error), id="connect_sim.E005"))
    return found


@register
def proxy(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A redirect to https needs a proxy that says which requests came by https."""
    if not settings.SECURE_SSL_REDIRECT or settings.SIM_TRUSTED_PROXY.strip(", "):
        return []
    return [
        Error(
            "SIM_SSL_REDIRECT redirects every request to https, but no proxy is trusted to say "
            "which requests came by https: the redirects would never end.",
            hint="Set SIM_TRUSTED_PROXY to the address of the proxy that ends TLS, or "
            "SIM_SSL_REDIRECT=false.",
            id="connect_sim.E012",
        )
    ]


@register
def combinations(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The database and the broker fit how the processes are spread."""
    if settings.SANDBOX:
        return []
    found: list[CheckMessage] = []
    if settings.CELERY_BROKER_URL.startswith("memory:"):
        found.append(
            Error(
                "The broker memory:// lives in one process: a worker of its own never hears of it.",
                hint="Set CELERY_BROKER_URL, for example to redis://localhost:6379/0.",
                id="connect_sim.E010",
            )
        )
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        found.append(
            Warning(
                "SQLite serves the processes of one machine only.",
                hint="Set DATABASE_URL, for example to postgres://user:password@host/name.",
                id="connect_sim.W011",
            )
        )
    return found
