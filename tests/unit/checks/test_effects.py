"""Which order others approve, which calls are too late, and who is too slow to be judged."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalog import effects
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
