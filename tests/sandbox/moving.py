"""Moves of the clock, and the running engine, accounts and orders of their tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from requests_queue.queues.fulfillment import creation
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.api import Caller, caller
from tests.engines import running
from webhooks.delivery import wakeup
from webhooks.delivery.engine import Engine


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    with running() as [engine]:
        monkeypatch.setattr(wakeup, "send", engine.wake)
        yield engine


@pytest.fixture
def platform() -> make.Catalog:
    return make.catalog()


@pytest.fixture
def by(platform: make.Catalog) -> Caller:
    return caller(platform.vendor)


def order(platform: make.Catalog) -> Request:
    return creation.create(make.purchase(platform), platform.as_distributor)


def move(by: Caller, name: str, /, **body: Any) -> dict[str, Any]:
    response = by.post(f"/sandbox/clock/{name}", {"settle": 0, **body})
    assert response.status == 200, response
    return dict(response.json)
