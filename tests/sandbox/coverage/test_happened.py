"""Which cases have happened, from entries of the timeline."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue import clock
from sandbox.coverage import happened
from sandbox.timeline import timeline
from sandbox.timeline.timeline import Cursor, Entry

ORDER, PRODUCT = "PR-1", "PRD-1"
CHANGE = {"object_class": "fulfillment_request", "type": "purchase", "product": PRODUCT}
ATTEMPT = {
    "type": "event",
    "objects": [ORDER],
    "outcome": "success",
    "status": 200,
    "why": "Delivered.",
    "state": "delivered",
    "out_of_order": False,
}
FAILED = {"outcome": "failure", "status": 500, "state": "waiting"}
CALL = {"actor": "handler", "status": 400, "error_code": "REQ_003"}

pytestmark = pytest.mark.django_db(transaction=True)


def change(before: str | None, after: str, **more: Any) -> Entry:
    data = {**CHANGE, "from": before, "to": after, **more}
    return Entry(timeline.CHANGE, clock.now(), object=ORDER, data=data)


def event(before: str | None, after: str) -> Entry:
    data = {"from": before, "to": after}
    return Entry(timeline.EVENT, clock.now(), "WH-1", 1, object=ORDER, data=data)


def attempt(number: int = 1, webhook: str = "WH-1", **more: Any) -> Entry:
    data = {**ATTEMPT, **more}
    return Entry(timeline.ATTEMPT_FINISHED, clock.now(), webhook, 1, number, data=data)


def call(webhook: str | None = "WH-1", **more: Any) -> Entry:
    return Entry(timeline.API_CALL, clock.now(), webhook, data={**CALL, **more})


def validation(why: str, outcome: str = "success") -> Entry:
    return attempt(type="change_validator", why=why, outcome=outcome)


def read(*entries: Entry, product: str = "") -> dict[str, int]:
    timeline.append(entries)
    return dict(happened.read(Cursor(), timeline.now(), product).counts)


@pytest.mark.parametrize(
    ("entries", "cases"),
    [
        (
            [lambda: change(None, "pending"), lambda: event(None, "pending")],
            ["fulfillment_request.purchase.created.pending"],
        ),
        # Receivers may write the event first.
        (
            [lambda: event("pending", "approved"), lambda: change("pending", "approved")],
            ["fulfillment_request.purchase.pending.approved"],
        ),
        # No webhook was told.
        ([lambda: change("pending", "failed")], []),
        # A validation is an event without a change.
        ([lambda: event("draft", "draft")], []),
        (
            [
                lambda: change(None, "", object_class="billing_request", type="vendor"),
                lambda: event(None, ""),
                lambda: change("", "", object_class="billing_request", type="vendor"),
                lambda: event("", ""),
            ],
            ["billing_request.vendor.changed", "billing_request.vendor.created"],
        ),
        ([attempt], ["deliveries.first_attempt"]),
        ([lambda: attempt(2)], ["deliveries.second_attempt"]),
        ([lambda: attempt(7)], ["deliveries.later_attempt"]),
        (
            [lambda: attempt(objects=[ORDER, "PR-2"])],
            ["deliveries.first_attempt", "deliveries.several_objects"],
        ),
        ([lambda: attempt(**FAILED)], ["deliveries.error_status"]),
        ([lambda: attempt(**{**FAILED, "status": None})], ["deliveries.no_response"]),
        ([lambda: attempt(outcome="unknown", status=None, state="waiting")], []),
        ([lambda: attempt(objects=[])], ["deliveries.first_attempt", "deliveries.triggered"]),
        (
            [lambda: attempt(**FAILED, out_of_order=True), attempt],
            [
                "deliveries.error_status",
                "deliveries.first_attempt",
                "deliveries.out_of_order",
                "deliveries.recovered",
            ],
        ),
        (
            [lambda: attempt(**FAILED, out_of_order=True), lambda: attempt(webhook="WH-2")],
            ["deliveries.error_status", "deliveries.first_attempt", "deliveries.out_of_order"],
        ),
        (
            [lambda: validation("Not repeated: … No parameter was changed.")],
            ["validator.change_validator.ok"],
        ),
        (
            [lambda: validation("Delivered. Merged: a (value_error), b (value, constraints).")],
            ["validator.change_validator.errors", "validator.change_validator.values"],
        ),
        ([lambda: validation("Failed.", "failure")], ["validator.change_validator.failed"]),
        ([call], ["api_error.REQ_003"]),
        ([lambda: call(actor="test")], []),
        ([lambda: call(status=200, error_code="")], []),
        # There is no response yet.
        ([lambda: call(status=None, error_code="")], []),
        ([lambda: call(status=429, error_code="SYS_429")], ["api_error.429"]),
        ([lambda: call(status=503, error_code="")], ["api_error.500"]),
        ([lambda: call(error_code="TAR_003")], []),
        (
            [
                lambda: Entry(
                    timeline.FAULT, clock.now(), data={"side": "api", "kind": "lost_response"}
                )
            ],
            ["fault.api.lost_response"],
        ),
    ],
)
def test_entries_are_cases(entries: list[Any], cases: list[str]) -> None:
    assert sorted(read(*(make() for make in entries))) == cases


def test_cases_of_another_product_are_left_out_and_those_of_none_kept() -> None:
    entries = [change(None, "pending"), event(None, "pending"), attempt(), call(webhook=None)]
    assert read(*entries, product=PRODUCT) == {
        "fulfillment_request.purchase.created.pending": 1,
        "deliveries.first_attempt": 1,
        "api_error.REQ_003": 1,
    }
    assert read(product="PRD-2") == {"api_error.REQ_003": 1}
    assert read()["deliveries.first_attempt"] == 1


def test_a_validator_that_responded_can_have_each_outcome() -> None:
    timeline.append([validation("No parameter was changed.")])
    found = happened.read(Cursor(), timeline.now())
    assert found.features == {"": {"validator:change_validator"}}


def test_changes_of_an_earlier_version_without_a_type_are_left_out() -> None:
    entry = change(None, "pending")
    old = {name: value for name, value in entry.data.items() if name != "type"}
    timeline.append([Entry(timeline.CHANGE, entry.at, object=ORDER, data=old)])
    assert read(event(None, "pending")) == {}
