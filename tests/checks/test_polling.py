"""A handler without defects that polls is accused of nothing."""

from __future__ import annotations

import shlex
import sys

import pytest

from checks.options import Options
from tests.checks import running
from tests.processes import ROOT

pytestmark = pytest.mark.usefixtures("sandbox")

# What can be skipped: what needs another option, and what a timer comes before.
REASONS = ("Needs --deep", "a timer of its own")
# What it may do because of a request, or by itself.
UNASKED = (
    "auth.no_header", "auth.other_product", "token.claims_against_body", "payload.empty_body",
    "effects.history_clean",
)  # fmt: skip
# Each expects work, which a timer does, too: these must pass, and so must all controls.
MUST_PASS = (
    "auth.get", "auth.both_headers", "auth.authentication_only", "auth.authorization_only",
    "token.unknown_claims", "payload.unicode", "payload.nested_data", "payload.chunked",
    "payload.large_body", "delivery.twice", "effects.all_pending", "effects.customer_names",
)  # fmt: skip


def accusations(arguments: str, *selected: str) -> dict[str, str]:
    """Return what is neither passed nor skipped for a reason."""
    command = [sys.executable, str(ROOT / "tests/checks/polling.py"), *arguments.split()]
    options = Options(run=shlex.join(command), selected=selected, jobs=1)
    results = running.run_again_if_slow(options).results
    verdicts = {each.check.id: each.verdict for each in results}
    may_skip = {
        pk
        for pk, verdict in verdicts.items()
        if any(reason in verdict.text for reason in REASONS)
        and not (pk in MUST_PASS or pk.endswith(".control"))
    }
    return {
        pk: verdict.text
        for pk, verdict in verdicts.items()
        if verdict.outcome != "pass" and not (verdict.outcome == "skipped" and pk in may_skip)
    }


def test_what_it_does_by_itself_is_no_effect_of_a_request() -> None:
    assert accusations("1", *UNASKED) == {}


@pytest.mark.nightly(reason="each runs all checks, for minutes")
@pytest.mark.parametrize("arguments", ["1", "1 only", "2", "2 only", "5", "5 only"])
def test_it_passes_all_that_can_be_judged(arguments: str) -> None:
    assert accusations(arguments) == {}
