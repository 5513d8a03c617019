"""At which moments somebody else acts, in which order, and for how long."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from checks import good_run, verdicts
from checks.catalog import BY_ID, turn
from checks.catalog.turn import Act, Moment
from checks.good_run import GoodRun
from checks.history import Call, Effects, History
from checks.lab import Lab
from checks.options import Options
from checks.outcomes import Outcome, Verdict
from checks.timing import UNKNOWN, Budget

CALLS = ("GET /requests", "GET /requests/PR-1", "PUT /requests/PR-1", "POST /requests/PR-1/approve",
         "GET /requests")  # fmt: skip
DONE = Effects("approved", {}, (200,), (), ())


def run(*, overlapping: int = 0) -> GoodRun:
    """A good run of CALLS; the one at a place begins before the one ahead of it has ended."""
    calls = tuple(
        Call(place, *text.split(), "", 200, place - (place == overlapping) * 0.5, 0.9, "", "", ())
        for place, text in enumerate(CALLS)
    )
    return GoodRun(good_run.steps(calls), DONE, History(calls, (), ()))


def names(act: Act, **values: Any) -> list[str]:
    return [moment.name for moment in turn.moments(run(**values), act)]


def act(**values: Any) -> Act:
    return Act("Somebody acted", lambda lab, order, prepared: {}, **values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "3:after 2:after 1:before 1:after 4:after 5:after"),
        ({"adds_work": True}, "4:after 2:after 3:after 1:before 1:after 5:after"),
        ({"is_pending": True}, "3:after 2:after 1:before 1:after"),
        ({"is_pending": False, "adds_work": True}, "4:after 5:after"),
    ],
)
def test_moments_come_where_most_is_found_first(values: dict[str, Any], expected: str) -> None:
    assert names(act(**values)) == expected.split()


def test_call_that_overlaps_has_a_moment_before_it() -> None:
    assert "2:before" in names(act(), overlapping=1)
    assert "2:before" not in names(act())


def test_moment_is_told_for_a_sentence() -> None:
    step = run().steps[2]
    assert Moment(step).text == "before the response to call 3 (PUT /requests/*)"
    assert Moment(step, is_before=True).text == "before call 3 (PUT /requests/*) is served"


def lab(**options: Any) -> Lab:
    content = SimpleNamespace(
        options=Options(**options),
        is_deep=options.get("deep", False),
        budget=Budget(),
        timing=UNKNOWN,
        shared={"a good run": run()},
    )
    return cast(Lab, content)


def test_chosen_checks_share_the_budget() -> None:
    count = sum(check.group == "turn" and not check.is_control for check in BY_ID.values())
    assert turn.share(lab()) == 30 / count
    assert turn.share(lab(selected=("turn.fail",), budget=8)) == 8
    assert turn.share(lab(selected=("turn.*",), ignored=("turn.fail",))) == 30 / (count - 1)
    assert turn.share(lab(deep=True)) == float("inf")


def sweep(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, Verdict | None], **options: Any
) -> tuple[Verdict, list[str]]:
    """Return the verdict if the moments have these, and others pass; and which were tried."""
    tried: list[str] = []

    def judge(lab: Lab, act: Act, moment: Moment, good: GoodRun) -> Verdict | None:
        tried.append(moment.name)
        return found.get(moment.name, verdicts.passed(""))

    monkeypatch.setattr(turn, "_run", judge)
    return turn._sweep(lab(**options), act()), tried


def test_first_failure_ends_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = verdicts.failed("Wrong.")
    assert sweep(monkeypatch, {"2:after": failed}) == (failed, ["3:after", "2:after"])


def test_moments_that_are_not_possible_are_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict, tried = sweep(monkeypatch, {"2:after": None})
    assert verdict.outcome is Outcome.PASS and len(tried) == 6
    assert "5 of 6 moments tried" in verdict.text and "1 not possible" in verdict.text
    verdict, _ = sweep(monkeypatch, {}, pair="2:before")
    assert verdict.outcome is Outcome.SKIPPED
    assert verdict.text.endswith("It has 1:before, 1:after, 2:after, 3:after, 4:after, 5:after.")
    verdict, _ = sweep(monkeypatch, {"2:after": None}, pair="2:after")
    assert verdict.outcome is Outcome.SKIPPED


def test_pair_is_tried_alone_and_one_moment_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sweep(monkeypatch, {}, pair="5:after")[1] == ["5:after"]
    assert sweep(monkeypatch, {}, budget=1e-9)[1] == ["3:after"]
