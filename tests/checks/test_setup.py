"""What checks set up for a handler: a reseller of its own, and how long they wait for it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from checks import experiments, lanes, purchases
from checks.catalog import orders
from checks.lab import Lab
from checks.options import ALL, EVENT, Options
from checks.platform import TIERS
from tests.checks.sandboxes import Running
from tests.processes import ROOT

OF_TIERS = [
    {"name": f"{scope}_{phase}", "scope": scope, "phase": phase, "constraints": {"required": True}}
    for scope in ("tier1", "tier2")
    for phase in ("ordering", "fulfillment")
]
HANDLER = """
import os, threading, time
from tests.checks.handlers.api import Api
from tests.checks.handlers.reference import Handler
from tests.checks.handlers.web import Response
{code}
It(os.environ).serve()
"""
# Approves tier requests before orders.
TAKES_TIERS = """
class It(Handler):
    def approve_pending(self, api, product):
        for row in api.get(f"/tier/config-requests?eq(status,pending)"):
            params = [{"id": p["id"], "value": "of the handler"} for p in row["params"]
                      if p["phase"] == "fulfillment"]
            api.put(f"/tier/config-requests/{row['id']}", {"params": params})
            api.post(f"/tier/config-requests/{row['id']}/approve", {})
        super().approve_pending(api, product)
"""
# Looks for orders every 2 s, whether it is called or not.
POLLS = """
class It(Handler):
    def queue_changed(self, call, claims):
        return Response(202)
    def process_at_start(self):
        threading.Thread(target=self.poll, daemon=True).start()
    def poll(self):
        while True:
            time.sleep(2)
            self.approve_pending(Api(self.api_url, self.key), self.product_id)
"""
# Looks for orders at its start, and soon after each response.
QUEUES = """
class It(Handler):
    patience = 0
    def approve_pending(self, api, product):
        time.sleep(0.3)
        super().approve_pending(api, product)
"""
# Two workers, each of which looks for orders when it starts.
WORKERS = """
class It(Handler):
    def process_at_start(self):
        super().process_at_start()
        time.sleep(0.3)
        super().process_at_start()
"""
ASKS_FOR_ANOTHER = """
class It(Handler):
    def query(self, product):
        return super().query("PRD-000-000-001")
"""
Opened = Callable[..., AbstractContextManager[Lab]]


@pytest.fixture
def opened(sandbox: Running) -> Opened:
    """The lab of a handler and a product."""

    @contextmanager
    def make(code: str = "It = Handler", kind: str = EVENT, **product: Any) -> Iterator[Lab]:
        command = shlex.join((sys.executable, "-c", HANDLER.replace("{code}", code)))
        pk = sandbox.create_product(product)
        [lane] = lanes.create(Options(run=command, cwd=ROOT, product=pk, type=kind, jobs=1))
        try:
            yield lane.open()
        finally:
            lane.close()

    return make


def test_handler_that_reads_tier_requests_approves_them(opened: Opened) -> None:
    with opened(TAKES_TIERS, params=OF_TIERS) as lab:
        query = f"eq(configuration.product.id,{lab.product})"
        rows = list(lab.platform.vendor.pages(f"/public/v1{TIERS}", query))
        assert len(rows) == 2
        for row in rows:
            values = {param["id"]: param["value"] for param in row["params"]}
            scope = f"tier{row['configuration']['tier_level']}"
            assert row["status"] == "approved"
            assert values[f"{scope}_fulfillment"] == "of the handler"
        assert lab.status(lab.order()) == "pending"


def test_check_approves_tier_requests_that_the_handler_does_not_read(opened: Opened) -> None:
    with opened(params=OF_TIERS) as lab:
        orders = [lab.order(), lab.platform.order_for(lab.product, "Harbour")]
        assert [lab.status(order) for order in orders] == ["pending"] * 2
        resellers = {lab.platform.request(pk)["asset"]["tiers"]["tier1"]["id"] for pk in orders}
        assert len(resellers) == 1


@pytest.mark.parametrize(
    "missing, params, reason",
    [
        ((lanes, "_set_up_reseller", lambda *_: None), OF_TIERS,
         r"is tiers_setup .* waits for TCR-[-\d]+ \(inquiring\), TCR-[-\d]+ \(tiers_setup\)\."),
        ((purchases.Catalog, "values", lambda _: []),
         [{"name": "region", "phase": "ordering", "constraints": {"required": True}}],
         r"is inquiring .* waits for the customer's value of region\."),
    ],
    ids=["tiers_setup", "inquiring"],
)  # fmt: skip
def test_control_that_cannot_go_on_says_what_it_waits_for(
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    missing: tuple[Any, str, Any],
    params: list[dict[str, Any]],
    reason: str,
) -> None:
    monkeypatch.setattr(*missing)
    with opened(params=params) as lab:
        verdict = experiments.control(lab)
        assert verdict.outcome == "inconclusive"
        assert re.search(reason, verdict.text), verdict.text


def test_interval_of_a_handler_that_polls_is_learned(opened: Opened) -> None:
    with opened(POLLS) as lab:
        lab.measure()
        assert lab.timing.interval >= 1.9
        assert lab.timing.patience >= lab.timing.interval + 5
        assert experiments.control(lab).outcome == "pass"


@pytest.mark.parametrize(
    "code", ["It = Handler", QUEUES, WORKERS], ids=["at once", "by a queue", "two workers"]
)
def test_handler_that_works_when_it_is_called_has_no_interval(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    # How long it is given to look again, which it never does.
    monkeypatch.setattr("checks.lab._AGAIN", 0.5)
    with opened(code) as lab:
        lab.measure()
        assert lab.timing.interval == 0


def test_control_names_the_product_that_the_handler_asks_for(opened: Opened) -> None:
    with opened(ASKS_FOR_ANOTHER) as lab:
        assert "variable PRODUCT_ID" in experiments.control(lab).text
        verdict = experiments.control(replace(lab, process=None))
        assert verdict.outcome == "fail"
        assert "asks for orders of PRD-000-000-001" in verdict.text
        assert verdict.text.endswith("Use --product PRD-000-000-001.")


def test_product_without_drafts_has_no_validator(opened: Opened) -> None:
    with opened(kind=ALL, capabilities={"cart": {"validation": False}}) as lab:
        assert lab.validator is None
    with opened(kind=ALL, capabilities={"cart": {"validation": True}}) as lab:
        assert lab.validator is not None


def test_order_without_a_parameter_to_ask_for_is_not_judged(opened: Opened) -> None:
    params = [{"name": "activation_id", "phase": "fulfillment", "constraints": {"required": True}}]
    with opened(params=params) as lab:
        for check in (orders.older_order, orders.old_error):
            verdict = check(lab)
            assert verdict.outcome == "skipped"
            assert verdict.text == "The product has no parameter that the customer fills in."
