"""Settings of webhooks as typed objects, read when they are used."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import lru_cache

from django.conf import settings

from requests_queue import assumptions
from webhooks.http import addresses
from webhooks.http.addresses import AddressPolicy, parse_networks
from webhooks.http.client import Transport
from webhooks.http.urls import proxy_url
from webhooks.states import Policy
from webhooks.types import PLURALS


def policy() -> Policy:
    return Policy(
        settings.SIM_RETRY_BASE,
        settings.SIM_RETRY_FACTOR,
        settings.SIM_RETRY_CAP,
        settings.SIM_FAILURE_LIMIT,
    )


def api_url() -> str:
    """Return the API URL for handlers, by default without a trailing slash."""
    return f"{settings.SIM_API_URL}/public/v1" + "/" * (
        assumptions.value("api_url_slash") == "present"
    )


def sent_object_class(object_class: str) -> str:
    """Return the object class as payloads have it, in singular or plural."""
    if assumptions.value("object_class_form") == "singular":
        return object_class
    return PLURALS.get(object_class, f"{object_class}s")


def open_transport() -> Transport:
    """Return a transport inside the running loop; raises ValueError as check_transport does."""
    check_transport()
    policy = AddressPolicy(parse_networks(settings.SIM_ALLOW_NETWORKS))
    return Transport(policy, proxy=settings.SIM_HTTP_PROXY, tls=_tls(settings.SIM_CA_FILE))


def check_transport() -> None:
    """Raise ValueError, with the name of the setting, if the settings allow no requests."""
    checks: tuple[tuple[str, Callable[[str], object]], ...] = (
        ("SIM_ALLOW_NETWORKS", parse_networks),
        ("SIM_HTTP_PROXY", proxy_url),
        ("SIM_CA_FILE", _tls),
    )
    for name, check in checks:
        try:
            check(getattr(settings, name))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


# Each validation opens a transport, and the authorities of the system are megabytes.
@lru_cache(maxsize=8)
def _tls(ca_file: str) -> ssl.SSLContext | None:
    """Return the TLS context for handlers, None for the default one; raises addresses.Unusable."""
    return addresses.tls_context(ca_file) if ca_file else None
