"""CloudBlue's Python client with `use_specs=True` and the sandbox's own document."""

from __future__ import annotations

from typing import Any

import pytest

from connect_sim.api import schema_views
from tests.e2e.test_openapi_client import interpreter, run, running
from tests.processes import Sandbox

pytestmark = pytest.mark.clients

__all__ = ["interpreter", "running"]


@pytest.fixture(scope="module")
def found(interpreter: Any, running: Sandbox) -> dict[str, Any]:
    paths = schema_views.document()["paths"]
    operations = [
        f"{method} {path}"
        for path, methods in paths.items()
        for method in methods
        # The paths that `help()` of the client fails on.
        if not schema_views.is_left_out(path, paths)
    ]
    return run(
        interpreter,
        running,
        "specs",
        SPECS=f"{running.url}/connect-openapi30.yml",
        OPERATIONS="\n".join(operations),
        EMAIL="maya.ortiz@nimbus.example.com",
    )


def test_client_knows_every_operation(found: dict[str, Any]) -> None:
    assert found["unknown"] == []


def test_help_knows_every_path(found: dict[str, Any]) -> None:
    assert len(found["helps"]) > 100
    silent = [path for path, said in found["helps"].items() if "does not exist" in said]
    assert silent == []
    request = found["helps"]["/requests/{id}"]
    assert all(name in request for name in ("approve", "fail", "inquire", "render"))
    assert "items" in found["helps"]["/products/{id}"]


def test_help_lists_namespaces_collections_and_filters(found: dict[str, Any]) -> None:
    assert set(found["namespaces"]) == {"notifications", "subscriptions", "tier", "usage"}
    assert "webhooks" in found["namespaces"]["notifications"]
    assert "Connect Sim" in found["whole"] and "requests" in found["whole"]
    assert "Support pagination: True" in found["search"]
    assert "asset.product.id" in found["search"]


def test_lists_and_actions_work(found: dict[str, Any]) -> None:
    assert found["lists"]["/requests"] > 10
    assert found["lists"]["/usage/records"] > 0
    assert found["assignee"] == "maya.ortiz@nimbus.example.com"


def test_client_refuses_unknown_operations(found: dict[str, Any]) -> None:
    assert "does not exist" in found["missing"]["text"]
