"""Which order others approve, which calls are too late, and who is too slow to be judged."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalog import effects, speed
from checks.handler_requests import Reply, SentRequest
from checks.lab import Lab
from checks.outcomes import Exhibit, Outcome
from checks.timing import Budget, OutOfTime
from tests.unit.checks.test_history import APPROVE, UPDATE, call
from tests.unit.checks.test_verdicts import NOTHING, SENT, reply

ROWS = st.lists(
    st.fixed_dictionaries({"id": st.text("0123456789", min_size=4, max_size=4),
                           "created": st.sampled_from(["10:00:00", "10:00:01"])}),
    min_size=7, max_size=9, unique_by=lambda row: row["id"],
)  # fmt: skip


@given(ROWS)
def test_inner_request_is_never_at_an_end(rows: list[dict[str, str]]) -> None:
    found = effects.inner(rows)
    for key in (lambda row: row["id"], lambda row: (row["created"], row["id"])):
        ids = [row["id"] for row in sorted(rows, key=key)]
        assert 0 < ids.index(found) < len(ids) - 1
    assert found not in (rows[0]["id"], rows[-1]["id"])


@pytest.mark.parametrize(
    ("method", "path", "status", "began", "is_late"),
    [
        # Each call takes 0.1 s; the approval began at 1.0.
        ("POST", APPROVE, 400, 1.05, True),
        ("POST", APPROVE, 200, 2.0, True),
        ("PUT", UPDATE, 400, 2.0, True),
        # Refused at the same time, and answered first.
        ("POST", APPROVE, 400, 0.95, True),
        # What the run itself has done before.
        ("PUT", UPDATE, 200, 0.89, False),
        ("PUT", UPDATE, 400, 0.8, False),
        ("POST", APPROVE, 400, 0.8, False),
        ("GET", UPDATE, 404, 2.0, False),
    ],
)
def test_calls_that_come_too_late(
    method: str, path: str, status: int, began: float, is_late: bool
) -> None:
    approval = call("POST", APPROVE, began=1.0)
    other = call(method, path, status=status, began=began)
    calls = sorted([approval, other], key=lambda each: each.began)
    assert effects.late_calls(calls, approval) == ([other] if is_late else [])


def test_evidence_of_an_order_that_others_approve_has_the_response() -> None:
    ids = [f"PR-{number}" for number in range(7)]
    rows = {pk: {"id": pk, "created": "", "status": "pending", "asset": {}} for pk in ids}
    lab = SimpleNamespace(
        orders=lambda count: ids,
        mark=lambda: "",
        genuine=lambda: SENT,
        values=lambda order: {},
        timing=SimpleNamespace(deadline=1),
        status=lambda order: "approved",
        begin=lambda sent, timeout: SimpleNamespace(result=lambda: reply(500)),
        after_work=lambda *_: NOTHING,
        platform=SimpleNamespace(
            requests_by_id=lambda orders: rows,
            approve=lambda order: None,
            fault=lambda *_, **scope: nullcontext(SimpleNamespace(wait_held=lambda *_: 1)),
        ),
    )
    verdict = effects.approved_elsewhere(cast(Lab, lab))
    assert verdict.text.startswith("When others approved PR-")
    assert Exhibit("Responses", ("1 × HTTP 500",)) in verdict.evidence


def test_handler_that_takes_long_for_many_orders_is_not_judged() -> None:
    def send(sent: SentRequest, timeout: float) -> Reply:
        raise OutOfTime

    budget = Budget()
    budget.begin(50)
    rows = {"PR-1": "approved", "PR-2": "pending"}
    platform = SimpleNamespace(
        requests_by_id=lambda ids: {
            pk: {"id": pk, "status": status, "asset": {"params": []}} for pk, status in rows.items()
        }
    )
    lab = SimpleNamespace(
        platform=platform,
        budget=budget,
        orders=lambda count, product: list(rows),
        mark=lambda: "",
        genuine=lambda: SENT,
        send=send,
        since=lambda mark: NOTHING,
    )
    verdict = effects.all_pending(cast(Lab, lab))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.text.startswith("1 of 105 pending orders were approved in the 50 s")


@pytest.mark.parametrize(
    ("status", "seconds", "is_shared"), [(200, 4.0, True), (200, 6.0, False), (500, 4.0, False)]
)
def test_good_response_with_many_orders_is_measured_once(
    status: int, seconds: float, is_shared: bool
) -> None:
    sends: list[float] = []

    def send(sent: SentRequest, timeout: float) -> Reply:
        sends.append(timeout)
        return Reply(status, b"", {}, seconds)

    row = {"id": "PR-1", "status": "pending", "asset": {"params": []}}
    lab = SimpleNamespace(
        platform=SimpleNamespace(requests_by_id=lambda ids: {"PR-1": row}),
        budget=Budget(),
        shared={},
        orders=lambda count, product="": ["PR-1"],
        mark=lambda: "",
        genuine=lambda: SENT,
        send=send,
        wait_finished=lambda orders, patience=0: True,
        settle=lambda quiet, patience: None,
        after=lambda mark: NOTHING,
        since=lambda mark: NOTHING,
    )
    # Whatever has become of the orders.
    assert effects.all_pending(cast(Lab, lab)).outcome is Outcome.FAIL
    judged = [speed.timeout_30s(cast(Lab, lab)), speed.seconds_5(cast(Lab, lab))]
    assert (judged[0].outcome is Outcome.PASS) is (status == 200)
    assert (judged[1].outcome is Outcome.PASS) is is_shared
    assert (len(sends) == 1) is is_shared
