"""What is said about a validator that responds to forged requests."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from checks.catalog import validator
from checks.causes import VALIDATES
from checks.handler_requests import Reply
from checks.lab import Lab
from checks.model import Verdict
from checks.outcomes import Outcome
from tests.unit.checks.test_tokens import SIGNER
from tests.unit.checks.test_verdicts import NOTHING, reply


@pytest.mark.parametrize("judge", [validator.wrong_token, validator.no_header])
@pytest.mark.parametrize(
    ("answered", "outcome", "cause"),
    [
        # It may have validated the draft of anybody, so nothing is said of a hidden refusal.
        (reply(200), Outcome.FAIL, VALIDATES),
        (reply(401), Outcome.PASS, ""),
        (reply(0, "connection refused"), Outcome.FAIL, ""),
    ],
)
def test_response_to_a_forged_draft(
    judge: Callable[[Lab], Verdict], answered: Reply, outcome: Outcome, cause: str
) -> None:
    lab = SimpleNamespace(
        platform=SimpleNamespace(
            order=lambda product, draft: "PR-1", request=lambda pk: {"id": pk, "asset": {}}
        ),
        validator=SIGNER,
        mark=lambda: None,
        send=lambda sent: answered,
        after=lambda mark, quiet: NOTHING,
    )
    verdict = judge(cast(Lab, lab))
    assert (verdict.outcome, verdict.cause) == (outcome, cause)
    assert "it had no effect" not in verdict.text
