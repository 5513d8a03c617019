"""System checks of the settings: what cannot work is refused with a sentence before it fails."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register, run_checks

from requests_queue.catalog import keys
from requests_queue.errors import Invalid

TAG = "settings"
_KEY_HINT = "Correct the key, or remove the variable: a sandbox creates keys by itself."


def serious() -> list[CheckMessage]:
    """Return what a process must not start with; for those that Django does not check."""
    return [found for found in run_checks(tags=[TAG]) if found.is_serious()]


@register(TAG)
def values(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Report each variable of the environment that cannot be used."""
    found: list[CheckMessage] = [
        Error(problem.message, hint=problem.hint, id="connect_sim.E001")
        for problem in settings.SETTING_PROBLEMS
    ]
    for name in ("SIM_VENDOR_API_KEY", "SIM_PROVIDER_API_KEY"):
        try:
            if value := getattr(settings, name):
                keys.parse(value)
        except Invalid as refused:
            found.append(
                Error(f"{name} cannot be used. {refused}", hint=_KEY_HINT, id="connect_sim.E002")
            )
    return found


@register(TAG)
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


@register(TAG)
def combinations(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The database and the broker fit how the processes are spread."""
    if settings.SANDBOX:
        return []
    found: list[CheckMessage] = []
    if settings.CELERY_BROKER_URL.startswith("memory:"):
        found.append(
            Error(
                "CELERY_BROKER_URL is memory://, which exists in one process only.",
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
