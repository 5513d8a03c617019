"""Which failures are one fact about the handler."""

from __future__ import annotations

import pytest

from checks import causes
from checks.causes import ACTED, AT_ONCE, HIDES, NO_EXPIRY, NO_SIGNATURE, NO_TOKEN, TWICE
from checks.model import Result, Verdict
from tests.unit.checks.reports import FAIL, PASS, check, result


def failure(pk: str, cause: str = ACTED) -> Result:
    return result(FAIL, check(pk), verdict=Verdict(FAIL, "It did.", (), cause))


def causes_of(*results: Result) -> dict[str, str]:
    return {each.check.id: each.verdict.cause for each in causes.named(results)}


FORGED = ("auth.no_header", "auth.alg_none", "token.expired_hour", "effects.forged_none")
UNSIGNED = ("auth.other_secret", "auth.alg_none", "token.missing_exp")
OF_ANY_KEY = ("auth.no_signature", "auth.rs256_key_confusion", "effects.forged_none")
EXPIRED = ("token.expired_hour", "token.missing_exp", "effects.forged_none")
RUNS = ("delivery.twice_at_once", "race.same_request", "effects.one_run")


@pytest.mark.parametrize(
    ("failed", "named"),
    [
        (dict.fromkeys(FORGED, ACTED), dict.fromkeys(FORGED, NO_TOKEN)),
        (dict.fromkeys(UNSIGNED, ACTED), dict.fromkeys(UNSIGNED, NO_SIGNATURE)),
        (dict.fromkeys(OF_ANY_KEY, ACTED), dict.fromkeys(OF_ANY_KEY, NO_SIGNATURE)),
        (dict.fromkeys(EXPIRED, ACTED), dict.fromkeys(EXPIRED, NO_EXPIRY)),
        ({"auth.alg_none": ACTED, "token.expired_hour": ACTED},
         {"auth.alg_none": "", "token.expired_hour": ""}),
        ({"auth.alg_none": ACTED, "auth.rs256_key_confusion": ACTED, "auth.no_header": HIDES,
          "token.expired_hour": HIDES},
         {"auth.alg_none": "", "auth.rs256_key_confusion": "", "auth.no_header": HIDES,
          "token.expired_hour": HIDES}),
        (dict.fromkeys((*RUNS, "token.replay"), TWICE),
         {**dict.fromkeys(RUNS, AT_ONCE), "token.replay": ""}),
    ],
    ids=["nothing is verified", "no signature", "any key", "no expiry", "single gaps",
         "hidden refusals are another fact", "a replay is no request at once"],
)  # fmt: skip
def test_failures_of_one_fact_have_one_cause(failed: dict[str, str], named: dict[str, str]) -> None:
    assert causes_of(*(failure(pk, cause) for pk, cause in failed.items())) == named


def test_only_failures_have_causes() -> None:
    passed = result(PASS, check("auth.no_header"), verdict=Verdict(PASS, "", (), ACTED))
    found = causes_of(passed, failure("auth.other_secret"), failure("auth.garbage"))
    assert found["auth.no_header"] == "" and found["auth.garbage"] == NO_SIGNATURE
