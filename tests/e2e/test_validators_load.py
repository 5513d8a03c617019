"""Validators under load: waiting validations block no other requests, and nothing is lost.

On a sandbox; tests/runtime/test_distributed.py has the same test for web + worker with PostgreSQL
and Redis.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests import orders
from tests.e2e import validating
from tests.e2e.validating import Flow, Json, Validator
from tests.processes import Sandbox

# More than the threads for other requests: 8 and 32.
HANGING = 40


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Validator]:
    with validating.validator(tmp_path_factory.mktemp("handler")) as validator:
        yield validator


@pytest.fixture
def hook(running: Sandbox, validator: Validator) -> Iterator[Json]:
    validator.rules()
    webhook = validating.hook(running, validator, "validator")
    yield webhook
    validating.drop(running, webhook)


@pytest.fixture
def pool(validator: Validator) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(HANGING) as pool:
        yield pool
        validator.release()


def timed(call: Callable[[], Any], limit: float = 1) -> Any:
    """Make a request that must get a response within a second."""
    began = time.monotonic()
    result = call()
    assert time.monotonic() - began < limit
    return result


def others_are_served(running: Sandbox, validator: Validator, other: Flow, event: Json) -> None:
    """Check that other requests work while validations wait."""
    assert timed(lambda: running.as_vendor("GET", "/requests?limit=50"))
    assert timed(lambda: running.as_distributor("GET", "/tier/config-requests"))
    assert timed(lambda: running.as_vendor("GET", "/notifications/webhooks"))
    timed(lambda: other.as_distributor("PUT", {"note": "Meanwhile."}))
    assert timed(other.read)["note"] == "Meanwhile."
    timed(lambda: orders.purchase(running))
    # Without the broker, the worker polls the table every second.
    timed(lambda: validator.until_received(1, event["id"]), limit=2)


@pytest.fixture
def event(running: Sandbox, validator: Validator) -> Iterator[Json]:
    """A webhook for changes of the plain product with the same handler."""
    webhook = orders.webhook(running, f"{validator.url}/event")
    yield webhook
    validating.drop(running, webhook)


def test_more_validations_than_threads_block_no_other_request(
    running: Sandbox, validator: Validator, hook: Json, event: Json, pool: ThreadPoolExecutor
) -> None:
    validator.rules(validator={"hold": True, "params": {"company_alias": {"value": "Harbour"}}})
    # Each draft is validated several times at once.
    flows = [validating.draft(running) for _ in range(HANGING // 4)]
    other = validating.draft(running)
    waiting = [pool.submit(flows[n % len(flows)].validate) for n in range(HANGING)]
    validator.until_received(HANGING, *(flow.pk for flow in flows))
    others_are_served(running, validator, other, event)
    assert not any(each.done() for each in waiting)
    validator.release()
    assert Counter(each.result().status_code for each in waiting) == {200: HANGING}
    for flow in flows:
        assert flow.params(flow.read())["company_alias"]["value"] == "Harbour"
    stats = orders.stats(running, hook["id"])
    assert (stats["events"], stats["success_triggers"]) == (HANGING, HANGING)
