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


@pytest.mark.parametrize(
    ("acted", "cause"),
    [
        (
            ("auth.no_header", "auth.alg_none", "token.expired_hour", "effects.forged_none"),
            NO_TOKEN,
        ),
        (("auth.other_secret", "auth.alg_none", "token.missing_exp"), NO_SIGNATURE),
        (("auth.no_signature", "auth.rs256_key_confusion", "effects.forged_none"), NO_SIGNATURE),
        (("token.expired_hour", "token.missing_exp", "effects.forged_none"), NO_EXPIRY),
    ],
)
def test_handler_that_verifies_nothing_has_one_cause(acted: tuple[str, ...], cause: str) -> None:
    assert causes_of(*map(failure, acted)) == dict.fromkeys(acted, cause)


def test_single_gaps_in_the_verification_have_causes_of_their_own() -> None:
    found = causes_of(failure("auth.alg_none"), failure("token.expired_hour"))
    assert found == {"auth.alg_none": "", "token.expired_hour": ""}


def test_accepted_forgery_and_hidden_refusal_are_different_facts() -> None:
    found = causes_of(
        failure("auth.alg_none"),
        failure("auth.rs256_key_confusion"),
        failure("auth.no_header", HIDES),
        failure("token.expired_hour", HIDES),
    )
    assert found == {
        "auth.alg_none": "",
        "auth.rs256_key_confusion": "",
        "auth.no_header": HIDES,
        "token.expired_hour": HIDES,
    }


def test_requests_at_once_are_one_cause_and_a_replay_is_not() -> None:
    ids = ("delivery.twice_at_once", "race.same_request", "effects.one_run", "token.replay")
    found = causes_of(*(failure(pk, TWICE) for pk in ids))
    assert found == {**dict.fromkeys(ids[:3], AT_ONCE), "token.replay": ""}


def test_only_failures_have_causes() -> None:
    passed = result(PASS, check("auth.no_header"), verdict=Verdict(PASS, "", (), ACTED))
    found = causes_of(passed, failure("auth.other_secret"), failure("auth.garbage"))
    assert found["auth.no_header"] == "" and found["auth.garbage"] == NO_SIGNATURE
