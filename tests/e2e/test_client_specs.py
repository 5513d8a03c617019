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
def report(interpreter: Any, running: Sandbox) -> dict[str, Any]:
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


def test_client_knows_every_operation(report: dict[str, Any]) -> None:
    assert report["unknown"] == []


def test_help_knows_every_path(report: dict[str, Any]) -> None:
    assert len(report["helps"]) > 100
    silent = [path for path, text in report["helps"].items() if "does not exist" in text]
    assert silent == []
    request = report["helps"]["/requests/{id}"]
    assert all(name in request for name in ("approve", "fail", "inquire", "render"))
    assert "items" in report["helps"]["/products/{id}"]


def test_help_lists_namespaces_collections_and_filters(report: dict[str, Any]) -> None:
    assert set(report["namespaces"]) == {
        "localization", "notifications", "subscriptions", "tier", "usage",
    }  # fmt: skip
    assert "webhooks" in report["namespaces"]["notifications"]
    assert "Connect Sim" in report["whole"] and "requests" in report["whole"]
    assert "Support pagination: True" in report["search"]
    assert "asset.product.id" in report["search"]


def test_lists_and_actions_work(report: dict[str, Any]) -> None:
    assert report["lists"]["/requests"] > 10
    assert report["lists"]["/usage/records"] > 0
    assert report["assignee"] == "maya.ortiz@nimbus.example.com"


def test_client_refuses_unknown_operations(report: dict[str, Any]) -> None:
    assert "does not exist" in report["missing"]["text"]
