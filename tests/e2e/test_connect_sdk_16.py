"""connect-sdk 16.2 (2019), unmodified: its automations. Collected if Python 3.8 is installed.

Later versions of Python cannot build its pinned dependencies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import environments
from tests.e2e.test_openapi_client import run
from tests.processes import sandbox

pytestmark = pytest.mark.clients

REQUIREMENTS = "connect-sdk==16.2\n"
Report = dict[str, Any]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    interpreter = environments.python(
        "connect_sdk_16", REQUIREMENTS, newest=(3, 8), built_by="pip==19.3.1 setuptools<58"
    )
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield run(interpreter, running, "sdk_16")
        running.process.kill()


@pytest.mark.parametrize(
    ("way", "status", "messages"),
    [
        ("template", "approved", ["Activated using template TL-213-870-001."]),
        ("preview", "approved", ["Activated using template TL-213-870-001."]),
        ("tile", "approved", ["Activated using custom activation tile."]),
        ("inquire_by", "inquiring", ["Please correct the address."]),
        ("refuse", "failed", ["We are sold out."]),
        ("later", "pending", ["Not yet."]),
    ],
)
def test_order_gets_the_status_of_its_processor(
    report: Report, way: str, status: str, messages: list[str]
) -> None:
    row = report["orders"][way]
    assert row["status"] == status
    assert row["messages"] == messages
    assert row["result"] == ("skip" if way == "later" else '{"id":')


def test_reason_and_tile_are_stored(report: Report) -> None:
    assert report["orders"]["refuse"]["reason"] == "We are sold out."
    assert report["orders"]["tile"]["tile"].startswith("# Welcome")


def test_tier_configuration_is_approved_by_tile(report: Report) -> None:
    assert report["config"] == ["approved", "active"]
    assert report["held"] is not None


def test_inquired_orders_are_listed(report: Report) -> None:
    assert set(report["inquired"]) <= set(report["listed"])
