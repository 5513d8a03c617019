"""Validators under load: waiting validations block no other requests, and nothing is lost.

On a sandbox; tests/runtime/test_distributed.py has the same tests for web + worker with PostgreSQL
and Redis.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import orders
from tests.e2e import validating
from tests.e2e.validating import SUITE, Flow, Json, Validator
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


class TestSlow:
    @pytest.mark.parametrize("drafts", [10, 1])
    def test_ten_validations_are_in_flight_at_once(
        self,
        running: Sandbox,
        validator: Validator,
        hook: Json,
        event: Json,
        pool: ThreadPoolExecutor,
        drafts: int,
    ) -> None:
        edit = {"company_alias": {"value": "Harbour"}}
        validator.rules(validator={"hold": True, "params": edit})
        flows = [validating.draft(running) for _ in range(drafts)]
        other = validating.draft(running)
        waiting = [pool.submit(flows[n % drafts].validate) for n in range(10)]
        validator.until_received(10, *(flow.pk for flow in flows))
        others_are_served(running, validator, other, event)
        assert not any(each.done() for each in waiting)
        validator.release()
        assert [each.result().status_code for each in waiting] == [200] * 10
        for flow in flows:
            assert flow.params(flow.read())["company_alias"]["value"] == "Harbour"
        stats = orders.stats(running, hook["id"])
        assert (stats["events"], stats["success_triggers"]) == (10, 10)


class TestHanging:
    @pytest.fixture
    def flow(self, running: Sandbox) -> Flow:
        return validating.draft(running)

    def waits(
        self, pool: ThreadPoolExecutor, validator: Validator, flow: Flow, count: int, **rule: Any
    ) -> list[Future[Any]]:
        """Start validations of a draft, which the handler holds."""
        validator.rules(validator={"hold": True, **rule})
        waiting = [pool.submit(flow.validate) for _ in range(count)]
        validator.until_received(count, flow.pk)
        return waiting

    def test_more_validations_than_threads_block_no_other_request(
        self,
        running: Sandbox,
        validator: Validator,
        hook: Json,
        event: Json,
        pool: ThreadPoolExecutor,
        flow: Flow,
    ) -> None:
        other = validating.draft(running)
        waiting = self.waits(pool, validator, flow, HANGING)
        others_are_served(running, validator, other, event)
        # The draft can be changed, and the unchanged response does not revert that.
        timed(lambda: flow.as_distributor("PUT", flow.body({"id": "company_alias", "value": "B"})))
        validator.release()
        assert Counter(each.result().status_code for each in waiting) == {200: HANGING}
        assert flow.params(flow.read())["company_alias"]["value"] == "B"
        assert orders.stats(running, hook["id"])["success_triggers"] == HANGING

    def test_concurrent_changes_and_the_response_are_both_kept(
        self, validator: Validator, hook: Json, pool: ThreadPoolExecutor, flow: Flow
    ) -> None:
        edit = {"customer_domain": {"value": "a.example.com", "value_error": "Not yours."}}
        (waiting,) = self.waits(pool, validator, flow, 1, params=edit)
        timed(
            lambda: flow.as_distributor(
                "PUT",
                {
                    "note": "Soon, please.",
                    "asset": {
                        "items": [{"id": f"{SUITE}-0001", "quantity": 7}],
                        "params": [{"id": "company_alias", "value": "B"}],
                    },
                },
            )
        )
        validator.release()
        response = waiting.result()
        assert response.status_code == 200
        body = response.json()
        params = flow.params(body)
        assert (body["note"], body["asset"]["items"][0]["quantity"]) == ("Soon, please.", "7")
        assert params["company_alias"]["value"] == "B"
        assert params["customer_domain"]["value_error"] == "Not yours."
        assert flow.read() == body

    def test_purchase_wins_over_a_late_response(
        self,
        running: Sandbox,
        validator: Validator,
        hook: Json,
        pool: ThreadPoolExecutor,
        flow: Flow,
    ) -> None:
        edit = {"company_alias": {"value": "Late"}}
        (waiting,) = self.waits(pool, validator, flow, 1, params=edit)
        timed(flow.leave)
        validator.release()
        response = waiting.result()
        assert (response.status_code, response.json()["error_code"]) == (400, "REQ_003")
        assert response.json()["errors"] == [
            f"{flow.pk} became pending during its validation: the response of the validator "
            f"was too late."
        ]
        assert flow.params(flow.read())["company_alias"]["value"] == ""
        # The handler has responded.
        assert orders.stats(running, hook["id"])["success_triggers"] == 1
        flow.approve()


def test_one_handler_uses_at_most_half_of_the_slots(
    running: Sandbox, validator: Validator, hook: Json
) -> None:
    flow = validating.draft(running)
    validator.rules(validator={"hold": True})
    with ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(flow.validate) for _ in range(60)]
        validator.until_received(50, flow.pk)
        for done in islice(as_completed(waiting, timeout=5), 10):
            assert (done.result().status_code, done.result().json()["errors"]) == (
                400,
                [
                    "Validation service is not available.",
                    "Not sent: too many requests to this validator are in flight, because its "
                    "handler is slow.",
                ],
            )
        assert len(validator.received(flow.pk)) == 50
        validator.release()
        assert Counter(each.result().status_code for each in waiting) == {200: 50, 400: 10}
    stats = orders.stats(running, hook["id"])
    assert (stats["events"], stats["success_triggers"], stats["failure_triggers"]) == (60, 50, 10)


def test_open_connections_block_no_other_request(running: Sandbox) -> None:
    place = urlsplit(running.url)
    with ExitStack() as stack:
        for _ in range(150):
            line = socket.create_connection((str(place.hostname), place.port), timeout=5)
            stack.enter_context(line)
        assert timed(lambda: running.as_vendor("GET", "/requests?limit=1"))
