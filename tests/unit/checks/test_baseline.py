"""The baseline of known failures."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.outputs import baseline
from checks.outputs.baseline import BadBaseline, Known
from checks.outputs.exit_code import exit_code
from tests.unit.checks.reports import FAIL, INCONCLUSIVE, PASS, SKIPPED, check, report, result

TODAY = date(2027, 1, 31)
CHECKS = [check("auth.control"), check("auth.garbage"), check("race.same_request")]
ENTRY = """\
[[known]]
id = "race.same_request"
until = 2027-01-31
reason = "Approvals will be serialized."
"""
KNOWN = Known("race.same_request", TODAY, "Approvals will be serialized.")


def test_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "baseline.toml"
    path.write_text(ENTRY)
    assert baseline.load(path, CHECKS) == (KNOWN,)
    assert baseline.read("", CHECKS) == ()


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "baseline.toml"
    with pytest.raises(BadBaseline, match=r"baseline.toml: No such file or directory\.$"):
        baseline.load(path, CHECKS)
    path.write_bytes(b"\xff")
    with pytest.raises(BadBaseline, match=r"is not UTF-8\.$"):
        baseline.load(path, CHECKS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("known", "is not valid TOML: Expected"),
        (ENTRY.replace("2027-01-31", "2027-02-30"), "is not valid TOML: Invalid date"),
        ("a = " + "[" * 10_000, "is not valid TOML"),
        ("expired = []", "has an unknown key 'expired'; it has only 'known'"),
        ("known = {}", "not written as [[known]]"),
        ("known = [1]", "not written as [[known]]"),
        (ENTRY + ENTRY, "The baseline has race.same_request twice."),
        (ENTRY.replace("until", "till"), "Known failure 1 of the baseline has no 'until'."),
        (ENTRY + "note = 1", "Known failure 1 of the baseline has an unknown key 'note'."),
        (ENTRY.replace('"race.same_request"', "1"), "'id' is not a text"),
        (ENTRY.replace("2027-01-31", '"2027-01-31"'), "'until' is not a date, such as 2027-01-31"),
        (ENTRY.replace("2027-01-31", "2027-01-31T00:00:00"), "'until' is not a date"),
        (ENTRY.replace('"Approvals will be serialized."', "true"), "'reason' is not a text"),
        (ENTRY.replace("Approvals will be serialized.", " "), "'reason' is not a text, or is"),
        (ENTRY.replace("same", "some"), "Similar: race.same_request."),
        (ENTRY.replace("race.same_request", "auth.control"), "auth.control is a control"),
    ],
)  # fmt: skip
def test_bad_file_is_one_line(text: str, message: str) -> None:
    with pytest.raises(BadBaseline) as caught:
        baseline.read(text, CHECKS)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_known_failure_does_not_count_until_its_date_has_passed() -> None:
    failed = report(result(FAIL, check("race.same_request")), result(PASS))
    known = baseline.apply(failed, [KNOWN], TODAY)
    assert (exit_code(known), known.results[0].known_until, known.notes) == (0, TODAY, ())
    expired = baseline.apply(failed, [KNOWN], TODAY + timedelta(days=1))
    assert (exit_code(expired), expired.results) == (1, failed.results)
    assert expired.notes == ("race.same_request fails, and is no longer known since 2027-01-31.",)


def test_entry_whose_check_passes_can_be_removed() -> None:
    one = report(result(PASS, check("race.same_request")), notes=("Before.",))
    again = baseline.apply(one, [KNOWN], TODAY)
    assert again.results == one.results
    assert again.notes == ("Before.", "race.same_request passes: remove it from the baseline.")


@pytest.mark.parametrize("outcome", [SKIPPED, INCONCLUSIVE])
def test_entry_whose_check_was_not_judged_changes_nothing(outcome: object) -> None:
    one = report(result(outcome, check("race.same_request")))  # type: ignore[arg-type]
    assert baseline.apply(one, [KNOWN], TODAY) == one


def test_written_baseline_keeps_dates_and_drops_what_passes() -> None:
    known = [
        KNOWN,
        Known("auth.none", TODAY - timedelta(days=1), "Expired."),
        Known("token.replay", TODAY, "Passes now."),
        Known("crash.killed", TODAY - timedelta(days=9), "Not run."),
    ]
    one = report(
        result(FAIL, check("auth.control")),
        result(FAIL, check("race.same_request")),
        result(FAIL, check("auth.none")),
        result(PASS, check("token.replay")),
        result(FAIL, check("speed.burst")),
        result(PASS, check("crash.api_500")),
    )
    text = baseline.render(one, known, TODAY)
    checks = [check(name) for name in ("auth.none", "crash.killed", "speed.burst", KNOWN.id)]
    assert baseline.read(text, checks) == (
        KNOWN,
        Known("auth.none", date(2027, 5, 1), "Expired."),
        Known("crash.killed", date(2027, 1, 22), "Not run."),
        Known("speed.burst", date(2027, 5, 1), "Failed on 2027-01-31."),
    )
    assert (
        exit_code(baseline.apply(report(*one.results[1:]), baseline.read(text, checks), TODAY)) == 0
    )


@given(st.text(min_size=1).filter(str.strip))
def test_any_reason_is_written_so_that_it_is_read(reason: str) -> None:
    known = [Known(KNOWN.id, TODAY, reason)]
    assert baseline.read(baseline.render(report(), known, TODAY), CHECKS) == tuple(known)
