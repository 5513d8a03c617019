"""The portal's pages, from the URL patterns: lists and details."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.test import Client

from extensions.models import Environment
from requests_queue.catalog.models import Product
from requests_queue.queues import base
from tests.contract import routes
from tests.contract.accounts import Platform
from webhooks.models import Delivery, Webhook

# Where pages of one thing begin; what follows a `{}` besides the thing is tried with these.
_MORE = {"webhooks/{}/do/": "trigger", "webhooks/{}/last/": "success"}
_LISTS = (
    "", "home/live/", "webhooks/", "deliveries/", "queues/", "products/", "checks/", "faults/",
    "extensions/",
)  # fmt: skip


def browser(platform: Platform, party: str) -> Client:
    """Return a client in which a user of the account is signed in."""
    user = platform.account_of(party).users.filter(is_service=False).first()
    assert user is not None
    client = Client()
    client.force_login(user)
    return client


def lists() -> Iterator[str]:
    """Yield the paths of list pages."""
    yield from (f"/{path}" for path in _LISTS)
    for queue in base.registered():
        name = queue.model._meta.app_label
        yield from (f"/queues/{name}/", f"/queues/{name}/?status=", f"/queues/{name}/new/")


def of_hidden(platform: Platform, party: str) -> Iterator[tuple[str, str]]:
    """Yield each detail page of an object that an account must not see, and of a missing one."""
    models: dict[str, Any] = {
        "webhooks/{}": Webhook,
        "deliveries/{}": Delivery,
        "products/{}": Product,
        "extensions/{}": Environment,
    }
    for queue in base.registered():
        models[f"queues/{queue.model._meta.app_label}/{{}}"] = queue.model
    for start, model in models.items():
        hidden = min(platform.hidden_rows(party, model))
        absent = 10**12 if model is Delivery else "XX-000-000-000"
        for path in _patterns(start):
            yield tuple(f"/{path.replace('{}', str(pk))}" for pk in (hidden, absent))  # type: ignore[misc]


def _patterns(start: str) -> Iterator[str]:
    """Yield the patterns of detail pages, with all parameters but the object filled in."""
    for pattern in sorted(routes.elsewhere()):
        if pattern.startswith("queues/{}/{}/") and start.startswith("queues/"):
            rest = pattern.removeprefix("queues/{}/{}/").replace("{}", "approve")
            yield f"{start}/{rest}"
        elif pattern.startswith(f"{start}/"):
            before, last = pattern.rsplit("/{}/", 1)[0], pattern.endswith("/{}/")
            more = _MORE.get(f"{before}/", "") if last and pattern.count("{}") > 1 else ""
            yield f"{before}/{more}/" if more else pattern
