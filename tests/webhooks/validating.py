"""Shared by the tests of validators: a platform whose drafts are validated, and the request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from requests_queue.errors import Refused
from requests_queue.queues import validation
from requests_queue.queues.fulfillment import creation
from requests_queue.queues.fulfillment.api import VALIDATED
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.background import Background
from tests.handlers import Handler, ReceivedRequest, Response, handler
from tests.make import Catalog
from webhooks.models import Attempt, Delivery, Event, Webhook


def platform(digit: str = "1") -> Catalog:
    """Make a platform with a product whose purchases are validated, and parameters to change."""
    catalog = make.catalog(digit, capabilities={"cart": {"validation": True}})
    for name in ("region", "plan"):
        make.parameter(catalog, name)
    return catalog


@pytest.fixture
def catalog(db: None) -> Catalog:
    """Return the platform of a test of validators."""
    return platform()


def draft(catalog: Catalog, **params: str) -> Request:
    """Make a draft of a purchase."""
    entries = [{"id": name, "value": value} for name, value in params.items()]
    body = make.purchase(catalog, status="draft", asset={"params": entries})
    row: Request = creation.create(body, catalog.as_distributor)
    return row


@pytest.fixture
def row(catalog: Catalog) -> Request:
    """Return a draft of a purchase."""
    return draft(catalog)


def validator(catalog: Catalog, url: str, n: int = 1, **more: Any) -> Webhook:
    """Make a validator of drafts."""
    return make.webhook(catalog, url, n=n, **{"type": "validator", **more})


@contextmanager
def called_validator(
    catalog: Catalog,
    response: Callable[[ReceivedRequest], Response] | Response = 200,
    **fields: Any,
) -> Iterator[tuple[Handler, Webhook]]:
    """Run a handler, and make a validator that calls it."""
    with handler(response) as served:
        yield served, validator(catalog, served.url, **fields)


@contextmanager
def hanging_validator(catalog: Catalog, response: Response) -> Iterator[tuple[Handler, Webhook]]:
    """Run a handler that responds when the test releases it, and make a validator that calls it."""
    with called_validator(catalog) as (served, hook):

        def think(request: ReceivedRequest) -> Response:
            served.release.wait(60)
            return response

        served.respond = think
        yield served, hook


def validate(catalog: Catalog, row: Request, data: dict[str, Any] | None = None) -> bool:
    """Validate as the distributor, outside any transaction."""
    return validation.validate(VALIDATED, row.pk, data or {}, catalog.as_distributor)


def asking(served: Handler, catalog: Catalog, row: Request) -> Background:
    """Validate in the background, and wait until the handler has the request."""
    background = Background(lambda: validate(catalog, row))
    served.next()
    return background


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
