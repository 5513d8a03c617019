"""A platform whose objects are reached through the API, with webhooks that record the events.

Objects get to a status by real creations and actions; `undone` rolls a step back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connection, transaction

from requests_queue.catalog.models import Product, Template
from requests_queue.queues import base
from sandbox.timeline import api_calls
from tests import make
from tests.api import Caller, Response, caller
from tests.queue.tables import (
    BILLING,
    CASES,
    FULFILLMENT,
    LISTING,
    PATHS,
    TIER_ACCOUNT,
    TIER_CONFIG,
    USAGE,
)
from webhooks import webhook_health
from webhooks.models import Event, Webhook

# Those that webhooks can have.
CLASSES = (FULFILLMENT, TIER_CONFIG, TIER_ACCOUNT, LISTING, USAGE, BILLING)
VALIDATORS = {FULFILLMENT: "validator", TIER_CONFIG: "draft_tcr_t1_val"}
CAPABILITIES: dict[str, Any] = {
    "cart": {"validation": True},
    "inquiring": {"validation": True},
    "subscription": {
        "hold": True,
        "change": {"validation": True},
        "renew": {"enable_renew": True, "validation": True},
        "transfer": {"enable_transfer": True, "validation": True},
    },
    "tiers": {
        "updates": True,
        "validation": True,
        "configs": {"configs": True, "level": 2, "update": {"validation": True}},
    },
}
# Callers: the parties, and accounts and callers that are no party.
PARTIES = {"V": "vendor", "D": "distributor"}
STRANGERS = ("stranger vendor", "stranger distributor")
NOBODY = "nobody"


class Change(NamedTuple):
    """A queue change and the parties that are notified."""

    queue: str
    pk: str
    source: str
    target: str
    sides: str = "VD"


class Platform:
    """Two parties, two strangers, nobody; a product with every capability and two resellers."""

    def __init__(self) -> None:
        self.catalog = make.catalog(capabilities=CAPABILITIES)
        self.elsewhere = make.catalog("2")
        self.product = self.catalog.product.pk
        self.by = {
            "V": caller(self.catalog.vendor),
            "D": caller(self.catalog.provider),
            "stranger vendor": caller(self.elsewhere.vendor),
            "stranger distributor": caller(self.elsewhere.provider),
            NOBODY: Caller(None),
        }
        self._add_parts()
        self.owner = self._add_webhooks()
        # Subscriptions by status, for tests that roll back their changes.
        self.assets: dict[str, str] = {}

    def _add_parts(self) -> None:
        for scope in ("asset", "tier1", "tier2"):
            make.parameter(self.catalog, f"{scope}_ask", scope=scope)
            make.parameter(self.catalog, f"{scope}_set", scope=scope, phase="fulfillment")
        for n, scope in enumerate(("tier1", "tier2")):
            Template.objects.create(
                id=f"TL-111-222-00{n}",
                product=self.catalog.product,
                title="Ready",
                name="Ready",
                body="# Ready",
                scope=scope,
                type="fulfillment",
                created=make.AT,
                updated=make.AT,
            )

    def _add_webhooks(self) -> dict[str, tuple[str, str]]:
        """Add webhooks; return object class and party of those that are notified.

        The others must not be notified: another product, another account, disabled, another type.
        """
        other = Product.objects.create(
            id="PRD-111-111-999",
            name="Another",
            owner=self.catalog.vendor,
            created=make.AT,
            updated=make.AT,
        )
        owner: dict[str, tuple[str, str]] = {}
        sides = {"V": self.catalog.vendor, "D": self.catalog.provider}
        n = 0
        for queue in CLASSES:
            quiet: list[dict[str, Any]] = [
                {"active": False},
                {"product": other},
                {"account": self.elsewhere.vendor},
                {"account": self.elsewhere.provider},
                {"account": self.elsewhere.vendor, "product": self.elsewhere.product},
            ]
            quiet += [{"type": VALIDATORS[queue]}] if queue in VALIDATORS else []
            for side, account in sides.items():
                n += 1
                hook = make.webhook(self.catalog, n=n, object_class=queue, account=account)
                owner[hook.pk] = (queue, side)
            for fields in quiet:
                n += 1
                make.webhook(self.catalog, n=n, object_class=queue, **fields)
        return owner

    def post(self, actor: str, path: str, body: Any = None) -> Any:
        """Make a POST that must succeed, and return the JSON of the response."""
        response = self.by[actor].post(path, body)
        assert response.status in (200, 201, 204), (actor, path, response)
        return response.json

    def put(self, actor: str, path: str, body: Any) -> Any:
        """Make a PUT that must succeed, and return the JSON of the response."""
        response = self.by[actor].put(path, body)
        assert response.status == 200, (actor, path, response)
        return response.json

    def status(self, queue: str, pk: str) -> str:
        """Return the status of an object, as its vendor sees it."""
        body = self.by["V"].get(f"{PATHS[queue]}/{pk}").json
        return str(body["state" if queue in (LISTING, CASES) else "status"])


@contextmanager
def undone() -> Iterator[None]:
    """Roll back the changes of the block."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables of the project."""
    # Earlier calls are stored now instead of by a later one.
    api_calls.flush()
    rows = {}
    with connection.cursor() as cursor:
        for table in _tables():
            cursor.execute(f'SELECT * FROM "{table}"')
            rows[table] = sorted(cursor.fetchall(), key=repr)
    return rows


@lru_cache
def _tables() -> tuple[str, ...]:
    labels = ("requests_queue", "webhooks")
    return tuple(
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model.__module__.partition(".")[0] in labels
    )


def latest() -> int:
    """Return the id of the latest event, 0 where there is none."""
    return Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def count_events(platform: Platform, since: int = 0) -> Counter[tuple[str, Change]]:
    """Return the number of events by party and change."""
    counts: Counter[tuple[str, Change]] = Counter()
    for hook, pk, source, target in Event.objects.filter(pk__gt=since).values_list(
        "webhook", "object_id", "status_from", "status_to"
    ):
        # Webhooks that expect no event have no party.
        queue, side = platform.owner.get(hook, (f"quiet {hook}", "-"))
        counts[side, Change(queue, pk, source, target)] += 1
    return counts


def check_notified(platform: Platform, since: int, changes: Sequence[Change]) -> None:
    """Check that since then each party was notified of exactly these changes, once each."""
    expected: Counter[tuple[str, Change]] = Counter()
    for change in changes:
        expected.update((side, change._replace(sides="VD")) for side in change.sides)
    assert count_events(platform, since) == expected
    assert webhook_health.counter_discrepancies() == []
    assert not Webhook.objects.exclude(pk__in=platform.owner).exclude(events=0).exists()


def check_error(response: Response, *parts: str) -> None:
    """Check that a response is an error in Connect's envelope with these parts in its messages."""
    assert set(response.json) >= {"error_code", "errors"} and response.json["errors"], response
    message = " ".join(response.json["errors"])
    assert all(part in message for part in parts), (message, parts)


def model(queue: str) -> Any:
    """Return the model of a queue."""
    found = base.find_queue(queue)
    assert found is not None
    return found.model
