"""Broken handlers fail their checks, and the reference handler passes all.

In CI each variant runs its own checks, or the first one if all take long, with their controls; the
handler without defects runs all checks, and one group of them with pass and fail exchanged.
`make checks-matrix`, a part of `make nightly`, runs all checks of all variants.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest

from checks import verdicts
from checks.catalog import BY_ID, effects, speed, validator
from checks.model import Check, Need, Outcome, Result
from checks.outputs.exit_code import exit_code
from tests.checks import running
from tests.checks.handlers.lookups import REFERENCE
from tests.checks.running import CHECKS
from tests.checks.variants import BY_NAME, VARIANTS, Variant
from tests.marks import nightly

pytestmark = pytest.mark.usefixtures("sandbox")

GROUPS = tuple(dict.fromkeys(check.group for check in CHECKS))
# These take long: a variant that fails several runs the first one.
LONG = ("effects", "speed", "race", "crash", "client", "retry", "turn", "deploy")
# Handlers that are waited for: their checks run with shorter limits.
SLOW = ("answers_after_forty_seconds", "validates_for_forty_seconds")
# These wait for what never comes or for long, need many orders, or have a defect like another's.
NIGHTLY = {
    **dict.fromkeys(
        ("never_answers", "does_nothing", "fills_nothing", "gives_up_after_any_error"),
        "waits for minutes; a faster variant fails the same checks",
    ),
    "answers_after_forty_seconds": "waits for minutes; no other variant fails speed.timeout_30s",
    "processes_one_order_per_call": "105 orders; reads_first_page_only fails the same check",
    "serves_one_connection_at_a_time": "a minute; drops_connections fails the same check",
    "stops_after_a_lost_approval": "gives_up_on_resets fails the same checks",
    "works_for_any_get": (
        "accepts_calls_without_token and accepts_any_signature fail the same checks"
    ),
    **{
        name: f"{faster} fails the same check"
        for name, faster in (
            ("accepts_alg_none_in_capitals", "accepts_alg_none"),
            ("allows_a_minute_more", "ignores_the_end"),
            ("allows_ten_minutes_more", "ignores_the_end"),
            ("approves_twice", "repeats_approvals"),
            ("approves_without_lock", "repeats_approvals"),
            ("changes_its_values", "asks_before_approving"),
            ("dies_of_a_refusal", "abandons_the_rest_after_a_refusal"),
            ("dies_of_broken_json", "fails_on_broken_json"),
            ("expects_texts", "expects_values"),
            ("fails_in_a_burst", "fails_at_four_calls"),
            ("fills_parameters_in_each_run", "sends_another_value_after_a_lost_response"),
            ("hammers_with_a_refused_key", "gives_up_when_forbidden"),
            ("marks_unknown_parameters", "empties_unknown_parameters"),
            ("needs_a_domain", "expects_values"),
            ("reads_again_without_lock", "repeats_approvals"),
            ("refuses_all_after_a_lost_approval", "gives_up_on_resets"),
            ("rejects_get", "answers_garbage"),
            ("returns_nothing", "finds_no_errors"),
            ("validates_for_six_seconds", "validates_for_forty_seconds"),
        )
    },
    **dict.fromkeys(
        (
            "repeats_what_is_refused",
            "knows_subscriptions_it_has_processed",
            "knows_external_ids_it_has_seen",
            "leaves_orders_of_renamed_customers",
            "stops_when_its_webhook_is_off",
        ),
        "waits for what never comes; ignores_calls_while_it_works is judged in the same way",
    ),
    **dict.fromkeys(
        (
            "ignores_sigterm",
            "accepts_what_it_cannot_verify",
            "warms_up_for_two_seconds",
            "reads_its_template_at_the_start",
        ),
        "waits for what never comes; fails_its_orders_on_sigterm is judged in a similar way",
    ),
    "approves_in_a_batch_each_minute": "waits for half a minute before anything is judged",
    "takes_filled_orders_as_done": (
        "asks_before_approving and processes_purchases_only fail the same checks"
    ),
}
# Checks that no variant fails in CI: each that would runs a shorter check, or is NIGHTLY.
# speed.pending_5000 needs `--deep`, too.
NOT_IN_CI = {
    "effects.approved_once", "retry.out_of_order", "speed.pending_5000", "speed.timeout_30s",
    "turn.cancel", "turn.change", "turn.fail", "turn.order_again", "turn.tier_account",
    "turn.webhook_off", "deploy.grace", "deploy.old_secret", "deploy.cold_start",
    "deploy.platform_late", "deploy.platform_away",
}  # fmt: skip


def own(variant: Variant) -> list[str]:
    """Return ids of checks that the variant fails: of those that take long one, if there are only
    such; of one that is right those that might accuse it."""
    short = [id for id in variant.breaks if BY_ID[id].group not in LONG]
    return short or [*variant.breaks[:1], *variant.suspected]


def each_variant() -> list[object]:
    """Return all variants; in CI all but NIGHTLY."""
    names = [variant.name for variant in VARIANTS]
    return [nightly(n, reason=NIGHTLY[n]) if n in NIGHTLY else n for n in names]


@pytest.mark.parametrize("name", each_variant())
def test_variant_fails_its_checks_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in SLOW:
        monkeypatch.setattr(speed, "LONGEST", 5.5)
        monkeypatch.setattr(speed, "_WORK", 1.0)
        monkeypatch.setattr(validator, "GIVES_UP", 5.5)
    variant = BY_NAME[name]
    # Fewer orders than the reference handler has, where a variant has a smaller page or no pause.
    monkeypatch.setattr(effects, "_MANY", 15)
    if not variant.breaks:
        monkeypatch.setattr(speed, "PENDING", 10)
    report = running.run_until_judged(name, own(variant), is_validator=variant.is_validator)
    if variant.ends_run:
        assert variant.ends_run in report.error
        assert exit_code(report) == 2
        return
    found = running.outcomes(report)
    wrong = [] if found else ["no check was run"]
    wrong += running.surprises(variant, found)
    wrong += [f"{id} was not run" for id in own(variant) if id not in found]
    assert not wrong, running.describe(report, wrong)
    assert not report.error
    if variant.breaks:
        assert any(result.verdict.outcome is Outcome.FAIL for result in report.results)


def test_each_other_check_has_a_variant_that_fails_it_in_ci() -> None:
    failed = {
        id
        for variant in VARIANTS
        if variant.name not in NIGHTLY
        for id in own(variant)
        if id in variant.breaks
    }
    # test_verdicts_are_the_same_each_time has a variant that fails it.
    failed.add("race.same_request")
    assert {check.id for check in CHECKS if not check.is_control} - failed == NOT_IN_CI


def passed_groups() -> list[object]:
    """Return globs of the checks of each group; in CI three of the sweeps of API calls."""
    reason = "minutes: a sweep like crash.api_500, with another failure"
    others = nightly("crash.api_429 crash.api_reset", reason=reason)
    return [
        "crash.api_500 crash.lost_response crash.killed" if group == "crash" else f"{group}.*"
        for group in GROUPS
    ] + [others]


@pytest.mark.parametrize("globs", passed_groups())
def test_reference_handler_passes(globs: str) -> None:
    report = running.run_until_judged(REFERENCE, globs.split(), is_validator=globs == "validator.*")
    wrong = [
        f"{result.check.id} is {result.verdict.outcome}"
        for result in report.results
        if result.verdict.outcome is not Outcome.PASS and Need.DEEP not in result.check.needs
    ]
    assert not wrong, running.describe(report, wrong)
    assert exit_code(report) == 0


class Inverter(running.Quiet):
    """Exchanges pass and fail while checks run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, inverts_controls: bool) -> None:
        self._inverts_controls = inverts_controls
        self._is_active = False
        passed, failed = verdicts.passed, verdicts.failed
        monkeypatch.setattr(
            verdicts, "passed", lambda *given: (failed if self._is_active else passed)(*given)
        )
        monkeypatch.setattr(
            verdicts, "failed", lambda *given: (passed if self._is_active else failed)(*given)
        )

    def started(self, check: Check) -> None:
        self._is_active = check.is_control == self._inverts_controls

    def ended(self, result: Result) -> None:
        self._is_active = False


def inverted_groups() -> list[object]:
    """Return all groups; in CI the one whose checks judge most kinds of requests."""
    reason = "minutes: pass and fail are exchanged in the same way in each group"
    return [group if group == "auth" else nightly(group, reason=reason) for group in GROUPS]


@pytest.mark.parametrize("group", inverted_groups())
def test_inverted_checks_fail(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    report = running.run_until_judged(
        REFERENCE,
        [f"{group}.*"],
        is_validator=group == "validator",
        progress=Inverter(monkeypatch, inverts_controls=False),
    )
    wrong = [
        f"{result.check.id} is {result.verdict.outcome}"
        for result in report.results
        if not result.check.is_control
        and result.verdict.outcome is not Outcome.FAIL
        and Need.DEEP not in result.check.needs
    ]
    assert not wrong, running.describe(report, wrong)
    has_must = any(
        BY_ID[r.check.id].level == "MUST" and not r.check.is_control for r in report.results
    )
    assert exit_code(report) == (1 if has_must else 0)


def test_inverted_control_leaves_nothing_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    inverter = Inverter(monkeypatch, inverts_controls=True)
    report = running.run_until_judged(
        REFERENCE, ["auth.get"], is_validator=False, progress=inverter
    )
    assert [result.verdict.outcome for result in report.results] == ["fail", "skipped"]
    assert exit_code(report) == 2


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep each core busy."""
    command = [sys.executable, "-S", "-E", "-c", "while True: pass"]
    loops = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.parametrize(
    ("handler", "times", "ids"),
    [
        nightly(REFERENCE, 2, ["race.same_request"], reason="it runs all checks once"),
        ("provisions_without_lock", 2, ["race.same_request"]),
        nightly(REFERENCE, 20, ["race.*", "crash.*"], reason="minutes"),
        nightly("provisions_without_lock", 20, ["race.*", "crash.*"], reason="minutes"),
    ],
)
def test_verdicts_are_the_same_each_time(handler: str, times: int, ids: list[str]) -> None:
    # In CI the other tests keep the cores busy.
    with busy_cores() if times > 2 else nullcontext():
        reports = [running.run_until_judged(handler, ids, is_validator=False) for _ in range(times)]
    found = [running.outcomes(report) for report in reports]
    assert found == found[:1] * times
    assert not {"inconclusive"} & set(found[0].values())
    assert (found[0]["race.same_request"] == Outcome.FAIL) == (handler != REFERENCE)
