"""A webhook that calls a handler of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests import make
from tests.handlers import Handler, ReceivedRequest, Response, handler
from webhooks.models import Webhook


@contextmanager
def called_webhook(
    catalog: make.Catalog,
    response: Callable[[ReceivedRequest], Response] | Response = 200,
    orders: int = 1,
    **fields: Any,
) -> Iterator[tuple[Handler, Webhook]]:
    """Run a handler, and make a webhook that calls it, with the events of some orders."""
    with handler(response) as served:
        hook = make.webhook(catalog, served.url, **fields)
        for _ in range(orders):
            make.order(catalog)
        yield served, hook
