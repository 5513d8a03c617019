"""A vendor's POST, PUT and DELETE of an action."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction

from requests_queue import clock, ids
from requests_queue.catalog.models import Product, ProductAction
from requests_queue.catalog.writes import products
from requests_queue.catalog.writes.given import Given

SCOPES = ("asset", "tier1", "tier2")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_TEXTS = {"name": 100, "title": 255, "description": 300}


@transaction.atomic
def create(product: Product, data: Mapping[str, Any]) -> ProductAction:
    """Create an action from `{action, name, scope, title?, description?, url?}`; raises Invalid."""
    products.lock(product)
    given, now = Given(data), clock.shown(clock.now())
    given.text("action", 100, blank=False)
    given.text("name", 100, blank=False)
    given.choice("scope", SCOPES)

    def make(pk: str) -> ProductAction:
        row = ProductAction(pk=pk, product=product, created=now, updated=now)
        _write(row, given)
        return row

    return ids.create(make, "action")


@transaction.atomic
def update(product: Product, action: ProductAction, data: Mapping[str, Any]) -> None:
    """Change what the body names; raises Invalid."""
    products.lock(product)
    row = products.fresh(action)
    _write(row, Given(data))
    row.updated = clock.shown(clock.now())
    row.save()


@transaction.atomic
def delete(product: Product, action: ProductAction) -> None:
    """Delete an action."""
    products.lock(product)
    products.fresh(action).delete()


def _url(given: Given) -> str:
    """Return the URL that an action's links lead to, empty for the portal's own page."""
    url = given.text("url", 2000)
    try:
        parts = urlsplit(url)
        plain = all(c.isprintable() and not c.isspace() for c in url)
        # Reading the port raises ValueError where it is none.
        right = plain and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if url and (not right or parts.username is not None or parts.password is not None):
        raise given.wrong("url", "Enter a valid URL: http or https, without a user name.")
    return url


def _write(row: ProductAction, given: Given) -> None:
    for name, limit in _TEXTS.items():
        if name in given:
            setattr(row, name, given.text(name, limit, blank=name != "name"))
    if "type" in given:
        row.type = given.choice("type", ("button",))
    if "scope" in given:
        row.scope = given.choice("scope", SCOPES)
    if "url" in given:
        row.url = _url(given)
    if "action" not in given:
        return
    row.action = given.text("action", 100, blank=False)
    if not _NAME.fullmatch(row.action):
        raise given.wrong("action", "Only letters, digits, dashes and underscores are allowed.")
    twins = ProductAction.objects.filter(product=row.product, action=row.action)
    if twins.exclude(pk=row.pk).exists():
        raise given.wrong("action", "Action with same id already exists for the product.")
