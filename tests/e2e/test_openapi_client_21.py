"""connect-openapi-client 21.0.13 (2021, the module `cnct`), unmodified: a processor in preview."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import environments
from tests.e2e.test_openapi_client import run
from tests.processes import Sandbox, sandbox

pytestmark = pytest.mark.clients

# The client imports `pkg_resources`.
REQUIREMENTS = "connect-openapi-client==21.0.13\nsetuptools<81\n"
Report = dict[str, Any]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    # It requires PyYAML 5, which has no wheel for Python 3.11 and needs Cython 2 to build.
    interpreter = environments.python("openapi_client_21", REQUIREMENTS, built_with="cython<3")
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield _run(interpreter, running)
        running.process.kill()


def _run(interpreter: Path, running: Sandbox) -> Report:
    return run(interpreter, running, "cnct_processor")


def test_vendor_orders_and_processes_its_own_product(report: Report) -> None:
    asset = report["bought"]["asset"]
    assert asset["connection"]["id"] == "CT-0000-0000-0000"
    assert asset["contract"]["id"] == "CRD-00000-00000-00000"
    assert report["bought"]["id"] in report["visible"]
    assert len(report["visible"]) == 2
    assert report["approved"]["status"] == "approved"
    assert report["failed"] == ["failed", "We are sold out."]
    assert report["message"] == "We are sold out."
    assert report["remaining"] == 0
    assert report["by_null"] == [report["bought"]["id"]]


def test_change_is_inquired_and_answered(report: Report) -> None:
    assert (report["inquired"], report["pended"]) == ("inquiring", "pending")
    assert report["changed"] == ["approved", "9"]


def test_order_waits_for_its_tier_configurations(report: Report) -> None:
    assert report["suite"] == ["tiers_setup", "failed"]
    assert report["configs"]
    assert {row["type"] for row in report["configs"]} == {"setup"}


def test_usage_is_reported_under_the_preview_contract(report: Report) -> None:
    assert report["usage"] == ["preview", "deleted"]


def test_account_users_and_media_are_read(report: Report) -> None:
    assert report["accounts"] == ["VA-610-138"]
    assert report["users"] == ["UR-426-913-070"]
    assert report["media"] == ["image", "video"]


def test_refusals_are_reported(report: Report) -> None:
    message = "asset.product.id: Product PRD-000-000-001 does not exist."
    assert report["wrong_product"] == [400, "VAL_001", [message]]
    assert report["wrong_filter"][:2] == [400, "VAL_001"]
