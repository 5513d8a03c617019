"""Shared by the tests of validators: a platform whose drafts are validated, and the request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from requests_queue.errors import Refused
from requests_queue.queues import validation
from requests_queue.queues.fulfillment import creation
from requests_queue.queues.fulfillment.api import VALIDATED
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.make import Catalog
from webhooks.models import Attempt, Delivery, Event, Webhook


def platform(digit: str = "1") -> Catalog:
    """Make a platform with a product whose purchases are validated, and parameters to change."""
    catalog = make.catalog(digit, capabilities={"cart": {"validation": True}})
    for name in ("region", "plan"):
        make.parameter(catalog, name)
    return catalog


def draft(catalog: Catalog, **params: str) -> Request:
    """Make a draft of a purchase."""
    entries = [{"id": name, "value": value} for name, value in params.items()]
    body = make.purchase(catalog, status="draft", asset={"params": entries})
    row: Request = creation.create(body, catalog.as_distributor)
    return row


def validator(catalog: Catalog, url: str, n: int = 1, **more: Any) -> Webhook:
    """Make a validator of drafts."""
    return make.webhook(catalog, url, n=n, **{"type": "validator", **more})


def validate(catalog: Catalog, row: Request, data: dict[str, Any] | None = None) -> bool:
    """Validate as the distributor, outside any transaction."""
    return validation.validate(VALIDATED, row.pk, data or {}, catalog.as_distributor)


def refused(catalog: Catalog, row: Request, data: dict[str, Any] | None = None) -> list[str]:
    """Validate, and return the distributor's error messages."""
    with pytest.raises(Refused) as caught:
        validate(catalog, row, data)
    assert (caught.value.status, caught.value.code) == (400, "VAL_100")
    first, *rest = caught.value.messages
    assert first == "Validation service is not available."
    return rest


def validator_response(**params: Any) -> tuple[int, bytes]:
    """Return a minimal response, by parameter."""
    entries = [{"id": name, **values} for name, values in params.items()]
    return 200, json.dumps({"asset": {"params": entries}}).encode()


def value_errors(row: Request) -> dict[str, str]:
    """Return the errors of the request's parameters."""
    row.refresh_from_db()
    return {param["id"]: param["value_error"] for param in row.params if param["value_error"]}


def counted(hook: Webhook) -> tuple[int, int, int, int, int]:
    """Return events, triggers, successes, failures, failures since the last success."""
    hook.refresh_from_db()
    return (
        hook.events,
        hook.triggers,
        hook.success_triggers,
        hook.failure_triggers,
        hook.failure_since_last_success,
    )


def recorded(hook: Webhook) -> list[tuple[str, str, str]]:
    """Return for each event of a webhook: its change, the delivery's state, the outcome."""
    return [
        (event.change, event.delivery.state, attempt.outcome if attempt else "")
        for event in Event.objects.filter(webhook=hook).order_by("pk").select_related("delivery")
        for attempt in [Attempt.objects.filter(delivery=event.delivery).first()]
    ]


def states() -> list[str]:
    """Return the states of all deliveries."""
    return list(Delivery.objects.order_by("pk").values_list("state", flat=True))
