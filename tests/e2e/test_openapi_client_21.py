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

REQUIREMENTS = "connect-openapi-client==21.0.13\n"
Found = dict[str, Any]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    # It wants PyYAML 5, which has no wheel for Python 3.11 and is built by Cython 2 only.
    interpreter = environments.python("openapi_client_21", REQUIREMENTS, built_with="cython<3")
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield _run(interpreter, running)
        running.process.kill()


def _run(interpreter: Path, running: Sandbox) -> Found:
    return run(interpreter, running, "cnct_processor")


def test_vendor_orders_and_processes_its_own_product(found: Found) -> None:
    asset = found["bought"]["asset"]
    assert asset["connection"]["id"] == "CT-0000-0000-0000"
    assert asset["contract"]["id"] == "CRD-00000-00000-00000"
    assert found["bought"]["id"] in found["seen"]
    assert len(found["seen"]) == 2
    assert found["approved"]["status"] == "approved"
    assert found["failed"] == ["failed", "We are sold out."]
    assert found["message"] == "We are sold out."
    assert found["left"] == 0
    assert found["by_null"] == [found["bought"]["id"]]


def test_change_is_inquired_and_answered(found: Found) -> None:
    assert (found["inquired"], found["pended"]) == ("inquiring", "pending")
    assert found["changed"] == ["approved", "9"]


def test_order_waits_for_its_tier_configurations(found: Found) -> None:
    assert found["suite"] == ["tiers_setup", "failed"]
    assert found["configs"]
    assert {row["type"] for row in found["configs"]} == {"setup"}


def test_usage_is_reported_under_the_preview_contract(found: Found) -> None:
    assert found["usage"] == ["preview", "deleted"]


def test_account_users_and_media_are_read(found: Found) -> None:
    assert found["accounts"] == ["VA-610-138"]
    assert found["users"] == ["UR-426-913-070"]
    assert found["media"] == ["image", "video"]


def test_refusals_are_reported(found: Found) -> None:
    said = "asset.product.id: Product PRD-000-000-001 does not exist."
    assert found["wrong_product"] == [400, "VAL_001", [said]]
    assert found["wrong_filter"][:2] == [400, "VAL_001"]
