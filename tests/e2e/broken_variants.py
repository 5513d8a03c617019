"""For each test of examples/pytest_project a handler that is broken in one way.

A pytest plugin, which runs each test twice: `[intact]`, and `[broken]` after a change of one place
of the handlers' code, which is then changed back. `report` is what the report of the failed test
must contain.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

BROKEN_TIMEOUT = 3.0  # seconds, where an expectation fails by its timeout


class Variant(NamedTuple):
    """A change of one place of a module: what is replaced, by what, and the report's texts."""

    module: str
    old: str
    new: str
    report: tuple[str, ...]
    timeout: float = BROKEN_TIMEOUT


VARIANTS = {
    "test_purchase_creates_an_environment": Variant(
        "webhooks.orders", '"value": environment', '"value": ""',
        (
            "to be approved",
            "status: expected approved, was pending",
            "/approve → 400",
            "VAL_001 asset.params: Parameter activation_id is required.",
        ),
    ),
    "test_customer_is_asked_for_the_domain": Variant(
        "webhooks.orders", '"value_error": "Which', '"error": "Which',
        (
            "to be inquiring",
            "status: expected inquiring, was pending",
            "/inquire → 400",
            "at least one parameter should be marked as invalid.",
        ),
    ),
    "test_order_of_a_taken_domain_fails": Variant(
        "webhooks.orders", '{"reason": reason}', '{"note": reason}',
        (
            "to be failed",
            "status: expected failed, was pending",
            "/fail → 400",
            "reason",
        ),
    ),
    "test_subscription_is_suspended_resumed_and_cancelled": Variant(
        "webhooks.orders", "/approve\", {})", "/confirm\", {})",
        (
            "to be approved",
            "status: expected approved, was pending",
            "/confirm → 400",
            "REQ_003",
        ),
    ),
    "test_order_is_approved_after_an_outage_of_the_cloud": Variant(
        "webhooks.orders", "return 500", "return 200",
        (
            "Expected exactly 2 requests to WH-",
            "calls: expected exactly 2 calls, was 1 call",
            "The handler's last API error:\nE         none",
        ),
    ),
    "test_forged_request_has_no_effect": Variant(
        "webhooks.tokens", '{"require": ["exp"]}', '{"verify_signature": False}',
        (
            "Expected a failed request to WH-",
            "outcome: expected failed, was delivered",
            "The handler's last API error:\nE         none",
        ),
    ),
    "test_reseller_is_set_up": Variant(
        "webhooks.resellers", '"reseller_id"', '"reseler_id"',
        (
            "to be approved",
            "status: expected approved, was pending",
            "PUT /public/v1/tier/config-requests/",
            "reseler_id",
        ),
    ),
    "test_each_of_several_resellers_is_approved_by_one_call": Variant(
        "webhooks.resellers", "    connect.post(", "    for _ in range(2): connect.post(",
        (
            "== [[200], [200], [200]]",
            "[200, 400]",
            "the handler's last API error",
            "/approve → 400",
        ),
        # All that the test waits for happens.
        timeout=30.0,
    ),
    "test_draft_with_a_taken_domain_gets_an_error": Variant(
        "webhooks.validator", "eq(params.value,", "eq(params.valu,",
        (
            'errors == {"domain": "Another customer has this domain."}',
            "VAL_100 Validation service is not available. Handler returned HTTP 500",
            "GET /public/v1/assets?and(eq(product.id,PRD-",
            "params.valu",
        ),
    ),
    "test_corrected_draft_can_be_ordered": Variant(
        "webhooks.validator", '"value_error"', '"error"',
        (
            'errors == {"domain": "Take a domain of your own."}',
            "assert {} == {",
            "Right contains 1 more item:\nE         {'domain': 'Take a domain of your own.'}",
            "the handler's last API error -------------------\n  none",
        ),
    ),
}  # fmt: skip


@pytest.fixture(autouse=True, params=["intact", "broken"])
def handlers(request: Any, connect_sim: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Break the handlers of a test, or don't."""
    variant = VARIANTS[request.node.originalname]
    module = importlib.import_module(variant.module)
    path = Path(str(module.__file__))
    source = path.read_text()
    assert source.count(variant.old) == 1, f"{variant.module}: {variant.old}"
    if request.param == "intact":
        yield
        return
    # What doesn't happen is waited for to the end.
    monkeypatch.setattr(connect_sim, "_timeout", variant.timeout)
    _run(source.replace(variant.old, variant.new), module)
    yield
    _run(source, module)


def _run(source: str, module: ModuleType) -> None:
    """Define the functions of a module anew: applications that exist call them by their names."""
    exec(compile(source, str(module.__file__), "exec"), vars(module))
