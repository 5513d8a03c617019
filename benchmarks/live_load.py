"""Measure open pages beside 500 deliveries per second: what is reached, and every error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.clock import PRODUCT, Sandbox
from benchmarks.processes import BenchmarkError, Process, wait_until
from benchmarks.table import Bound, Row

RATE, ERRORS = Bound(500, at_least=True), Bound(0)
# The rate has a floor beside so many pages; beside more there must be no error.
PAGES = 20
WEBHOOKS = 100
# Each is delivered to all webhooks; a few more than needed, since the last ones take a moment.
_ORDERS = 5.3  # per second
_SAMPLE = {"queue": "fulfillment", "type": "purchase", "product": PRODUCT}
_HOOKS = "/public/v1/notifications/webhooks"


def measure_load(
    server: Process,
    pages: Process,
    handler: Process,
    sandbox: Sandbox,
    handler_url: str,
    opening: dict[str, Any],
    seconds: float,
) -> list[Row]:
    """Open the pages, let the deliveries go on for the seconds, and return the rows."""
    count_of_pages = len(opening["cookies"])
    with _webhooks(sandbox, handler_url) as hooks:
        handler.ask("reset")
        opened = pages.ask("open", **opening)
        began = time.monotonic()
        count = _order(sandbox, began, seconds)
        expected = count * WEBHOOKS
        wait_until(
            lambda: handler.ask("count") >= expected,
            "all deliveries arrive",
            timeout=60,
            check=server,
        )
        rate = expected / (handler.ask("span")["last"] - began)
        counts = pages.ask("close")
        wait_until(
            lambda: _recorded(sandbox, hooks) >= expected,
            "they are recorded",
            timeout=60,
            check=server,
        )
        failed = sum(_stats(sandbox, pk)["failure_triggers"] for pk in hooks)
        repeated = handler.ask("count") - expected
    errors = counts["errors"] + failed + repeated + (count_of_pages - opened)
    name = f"beside {count_of_pages} pages"
    return [
        Row(
            "live",
            f"deliveries per second {name}",
            rate,
            None,
            "",
            RATE if count_of_pages <= PAGES else None,
        ),
        Row("live", f"{name}: errors of pages and deliveries", errors, None, "", ERRORS),
        Row("live", f"{name}: requests of parts of pages", counts["requests"], None, ""),
    ]


def _order(sandbox: Sandbox, began: float, seconds: float) -> int:
    """Order at a steady rate; return how many were accepted. A refused one ends the benchmark."""
    pause, count = threading.Event(), int(_ORDERS * seconds)
    for n in range(count):
        pause.wait(max(0.0, began + n / _ORDERS - time.monotonic()))
        sandbox.call("POST", "/sandbox/queue/samples", _SAMPLE)
    return count


@contextmanager
def _webhooks(sandbox: Sandbox, handler_url: str) -> Iterator[list[str]]:
    body = {
        "product_id": PRODUCT,
        "object_class": "fulfillment_request",
        "jwt_secret": "JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10",
    }
    hooks = [
        sandbox.call(
            "POST",
            _HOOKS,
            {**body, "label": f"Load {n}", "external_url": f"{handler_url}/load/{n}"},
        )["id"]
        for n in range(WEBHOOKS)
    ]
    try:
        yield hooks
    finally:
        for pk in hooks:
            sandbox.call("DELETE", f"{_HOOKS}/{pk}")


def _stats(sandbox: Sandbox, pk: str) -> dict[str, int]:
    stats: dict[str, int] = sandbox.call("GET", f"{_HOOKS}/{pk}")["stats"]
    if stats["events"] < stats["success_triggers"]:
        raise BenchmarkError(f"{pk} has more successes than events: {stats}")
    return stats


def _recorded(sandbox: Sandbox, hooks: list[str]) -> int:
    return sum(_stats(sandbox, pk)["triggers"] for pk in hooks)
