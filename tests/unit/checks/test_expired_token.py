"""Whether a handler remembers tokens that it has verified, and what becomes of their orders."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import cast

import pytest

from checks import experiments
from checks.catalog import token
from checks.lab import Lab
from checks.model import Verdict
from checks.outcomes import Outcome
from checks.verdicts import refused
from tests.unit.checks.test_tokens import SIGNER
from tests.unit.checks.test_verdicts import NOTHING, SENT, WROTE, reply

LEEWAY = refused(SENT, reply(), WROTE, True, "it")
HIDDEN = refused(SENT, reply(), NOTHING, True, "it")
REFUSAL = refused(SENT, reply(401), NOTHING, True, "it")


@pytest.mark.parametrize(
    ("unknown", "known", "outcome"),
    [
        (REFUSAL, REFUSAL, Outcome.PASS),
        (REFUSAL, LEEWAY, Outcome.FAIL),
        (LEEWAY, LEEWAY, Outcome.SKIPPED),
        # Success without an effect is no leeway.
        (HIDDEN, HIDDEN, Outcome.FAIL),
        (HIDDEN, LEEWAY, Outcome.FAIL),
    ],
)
def test_leeway_is_known_by_its_effect(
    monkeypatch: pytest.MonkeyPatch,
    unknown: Verdict,
    known: Verdict,
    outcome: Outcome,
) -> None:
    monkeypatch.setattr(token, "_SHORTLY", 0)
    monkeypatch.setattr(token, "_LATER", 0)
    judged = itertools.chain([unknown, known])
    monkeypatch.setattr(experiments, "refuses", lambda lab, *requests: next(judged))
    lab = SimpleNamespace(
        signer=SIGNER,
        genuine=lambda token: SENT,
        order=lambda: "PR-1",
        mark=lambda: None,
        send=lambda sent: reply(),
        after_work=lambda mark, replies, orders: NOTHING,
        status=lambda order: "approved",
    )
    verdict = token.expired_meanwhile(cast(Lab, lab))
    assert verdict.outcome is outcome
    assert outcome is Outcome.SKIPPED or verdict == known


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        ("approved", 200, Outcome.PASS),
        ("pending", 400, Outcome.PASS),
        # By a timer of the handler.
        ("approved", 400, Outcome.PASS),
        ("failed", 400, Outcome.FAIL),
        ("inquiring", 400, Outcome.FAIL),
        ("pending", 200, Outcome.FAIL),
        ("pending", 500, Outcome.FAIL),
    ],
)
def test_request_whose_body_is_of_another_product_is_processed_or_refused(
    status: str, code: int, outcome: Outcome
) -> None:
    lab = SimpleNamespace(
        product="PRD-1",
        other=SIGNER,
        genuine=lambda method, body: SENT,
        order=lambda product="": product or "own",
        values=lambda order: {},
        status=lambda order: status,
        platform=SimpleNamespace(request=lambda order: {"status": "pending"}),
        mark=lambda: "",
        send=lambda sent: reply(code),
        after_work=lambda mark, replies, orders: NOTHING,
    )
    verdict = token.claims_against_body(cast(Lab, lab))
    assert verdict.outcome is outcome
    assert outcome is Outcome.PASS or f"is {status}" in verdict.text
