"""Fixtures of the tests of faults: checked callers, and a function that arms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api import Caller
from tests.sandbox.calling import catalog, client, hook, served

__all__ = ["catalog", "client", "hook", "served"]

Arm = Callable[..., dict[str, Any]]


@pytest.fixture
def arm(client: Caller) -> Arm:
    """Arm a fault by the API and return it: `arm("abort", {"status": 500}, path="/requests")`."""

    def armed(kind: str, parameters: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        body = {"kind": kind, "parameters": parameters or {}, **more}
        response = client.post("/sandbox/faults", body)
        assert response.status == 201, response
        return dict(response.json)

    return armed
