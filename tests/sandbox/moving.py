"""Moves of the clock, and the running engine, accounts and orders of their tests."""

from __future__ import annotations

from typing import Any

import pytest

from tests import make
from tests.api import Caller, caller


@pytest.fixture
def platform() -> make.Catalog:
    return make.catalog()


@pytest.fixture
def by(platform: make.Catalog) -> Caller:
    return caller(platform.vendor)


def move(by: Caller, name: str, /, **body: Any) -> dict[str, Any]:
    response = by.post(f"/sandbox/clock/{name}", {"settle": 0, **body})
    assert response.status == 200, response
    return dict(response.json)
