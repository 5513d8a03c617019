"""The reference handler passes the checks with products of every shape."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import pytest

from checks.options import Options
from requests_queue.seed.products import BACKUP, SUITE, capabilities
from tests import examples
from tests.checks import running
from tests.checks.sandboxes import Running
from tests.processes import ROOT
from tests.queue.catalog import product_workbooks

REQUIRED = {"required": True}
CHOICES = {"choices": [{"value": "eu", "label": "Europe"}, {"value": "us", "label": "America"}]}
DOMAIN = {"name": "domain", "type": "domain", "phase": "ordering"}
ACTIVATION = {"name": "activation_id", "phase": "fulfillment", "constraints": REQUIRED}
# Every type of parameter that a customer fills in, with constraints.
FILLED_IN = [
    {"name": kind, "type": kind, "phase": "ordering", "constraints": {**REQUIRED, **more}}
    for kind, more in {
        "text": {"min_length": 3, "max_length": 12, "unique": True}, "email": {}, "phone": {},
        "dropdown": CHOICES, "choice": CHOICES, "checkbox": CHOICES, "password": {}, "object": {},
        "domain": {}, "subdomain": {"max_length": 30}, "url": {}, "address": {},
    }.items()
]  # fmt: skip
OF_TIERS = [
    {"name": f"{scope}_{phase}", "scope": scope, "phase": phase, "constraints": REQUIRED}
    for scope in ("tier1", "tier2")
    for phase in ("ordering", "fulfillment")
]
METERED = [{"mpn": mpn, "type": "PPU", "precision": "Decimal(2)"} for mpn in ("hours", "calls")]
# Ids of products of the demo data, bodies of new products, and a workbook.
SHAPES: dict[str, str | dict[str, Any] | bytes] = {
    "default": "",
    "tiers of the demo data": SUITE,
    "tiers": {"params": [DOMAIN, ACTIVATION, *OF_TIERS]},
    "required": {"params": [ACTIVATION, *FILLED_IN]},
    "several items": {
        "items": [
            {"mpn": "seat"}, {"mpn": "seat-yearly", "period": "Yearly"},
            {"mpn": "onboarding", "period": "OneTime"}, *METERED,
        ],
    },
    "usage only": {"items": METERED},
    "no capabilities of the demo data": BACKUP,
    "no capabilities": {"capabilities": capabilities(False)},
    "imported": product_workbooks.captured(),
}  # fmt: skip
# What depends on the reseller and on values of parameters.
SAMPLE = ("effects.history_clean", "effects.customer_names", "effects.other_types")


def outcomes(sandbox: Running, name: str, command: list[str], *selected: str) -> dict[str, str]:
    """Return the outcomes other than pass."""
    product = SHAPES[name]
    if isinstance(product, bytes):
        product = sandbox.import_product(product)
    elif isinstance(product, dict):
        product = sandbox.create_product(product)
    options = Options(run=shlex.join(command), product=product, selected=selected, jobs=1)
    return {
        each.check.id: each.verdict.text
        for each in running.run_again_if_slow(options).results
        if each.verdict.outcome not in ("pass", "skipped")
    }


@pytest.mark.parametrize("name", ["tiers", "required", "no capabilities", "imported"])
def test_shape_passes_what_depends_on_it(sandbox: Running, name: str) -> None:
    command = [sys.executable, str(ROOT / "tests/checks/handlers")]
    assert outcomes(sandbox, name, command, *SAMPLE) == {}


@pytest.mark.nightly(reason="minutes: all checks of a handler for each shape of product")
@pytest.mark.parametrize("name", SHAPES)
def test_shape_passes_all_checks(sandbox: Running, name: str) -> None:
    assert outcomes(sandbox, name, examples.command("python")) == {}
