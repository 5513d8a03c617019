"""Verdicts that many checks share, and what their evidence shows and hides."""

from __future__ import annotations

from typing import Any

import pytest

from checks import verdicts
from checks.handler_requests import Reply, SentRequest
from checks.history import Effects, History
from checks.outcomes import Outcome
from tests.unit.checks.test_history import APPROVE, ORDER, call
from tests.unit.checks.test_tokens import SIGNER

PASS, FAIL = Outcome.PASS, Outcome.FAIL
TOKEN = SIGNER.token()
SENT = SentRequest("POST", [("Authentication", f"Bearer {TOKEN}"), ("X-One", "1")], b"{}")
NOTHING = History((), (), ())
WROTE = History((call("POST", APPROVE),), (), ())


def reply(status: int = 200, error: str = "") -> Reply:
    return Reply(status, b"ok", {}, 0.25, error)


def effects(**changes: Any) -> Effects:
    values: dict[str, Any] = {
        "status": "approved",
        "params": {"a": "1"},
        "approvals": (200,),
        "other_actions": (),
        "overwritten": (),
    }
    return Effects(**{**values, **changes})


@pytest.mark.parametrize(
    ("answered", "happened", "untouched", "outcome", "part"),
    [
        (reply(401), NOTHING, True, PASS, "Refused with 401"),
        (reply(500), NOTHING, True, PASS, "Refused with 500"),
        (reply(200), NOTHING, True, FAIL, "as if it was accepted"),
        (reply(401), WROTE, True, FAIL, f"POST {APPROVE}"),
        (reply(401), NOTHING, False, FAIL, "the order has changed"),
        (reply(0, "connection refused"), NOTHING, True, FAIL, "connection refused"),
    ],
)
def test_refusal_needs_a_status_and_no_effect(
    answered: Reply, happened: History, untouched: bool, outcome: Outcome, part: str
) -> None:
    verdict = verdicts.refused(SENT, answered, happened, untouched, "a forged request")
    assert verdict.outcome is outcome
    assert part in verdict.text


@pytest.mark.parametrize(
    ("answered", "became", "part"),
    [
        (reply(), effects(), ""),
        (reply(500), effects(), "responded HTTP 500"),
        (reply(0, "the connection was reset"), effects(), "the connection was reset"),
        (reply(), effects(status="pending", approvals=()), "is pending"),
        (reply(), effects(approvals=(200, 400)), ""),
        (reply(), effects(approvals=(200, 200)), f"Approved {ORDER} 2 times"),
        (reply(), effects(overwritten=("a",)), "a second value"),
        (reply(), effects(other_actions=("inquire",)), "Called inquire"),
    ],
)
def test_approval_must_be_clean_and_answered(answered: Reply, became: Effects, part: str) -> None:
    verdict = verdicts.approved(SENT, answered, NOTHING, became, ORDER, "a genuine request")
    assert verdict.outcome is (FAIL if part else PASS)
    assert part in verdict.text


def test_evidence_shows_the_claims_and_hides_the_signature() -> None:
    lines = "\n".join(verdicts.request_exhibit(SENT).lines)
    assert '"alg": "HS256"' in lines and SIGNER.webhook_id in lines and "X-One: 1" in lines
    assert "(signature hidden)" in lines and TOKEN.rpartition(".")[2] not in lines
    assert TOKEN not in lines
    assert TOKEN not in repr(SENT)


def test_evidence_shows_a_token_that_is_none() -> None:
    sent = SentRequest("POST", [("Authorization", "Bearer a.b.c"), ("Authentication", "")], [b"x"])
    lines = verdicts.request_exhibit(sent).lines
    assert "Authorization: Bearer a.b.c" in lines and "Authentication: " in lines
    assert lines[-1] == "(a chunked body)"


def test_responses_are_counted_by_kind() -> None:
    replies = [reply(), reply(), reply(503), reply(0, "connection refused")]
    assert verdicts.replies_exhibit(replies).lines == (
        "2 × HTTP 200",
        "1 × HTTP 503",
        "1 × connection refused",
    )


@pytest.mark.parametrize(
    ("statuses", "refused", "judged"),
    [
        ((200, 500), 1, [200]),
        ((503, 200, 503), 2, [200]),
        ((200, 500, 500), 1, [200, 500]),
        # A refusal by the handler, and no response, are not due to the API.
        ((200, 401), 1, [200, 401]),
        ((200, 0), 1, [200, 0]),
        ((200, 500), 0, [200, 500]),
    ],
)
def test_failed_run_that_the_api_refused_is_not_judged(
    statuses: tuple[int, ...], refused: int, judged: list[int]
) -> None:
    calls = [call("POST", APPROVE), *(call("POST", APPROVE, status=400) for _ in range(refused))]
    happened = History(tuple(calls), (), ())
    replies = [reply(status) for status in statuses]
    found = verdicts.without_refused_runs(replies, happened)
    assert [each.status for each in found] == judged
