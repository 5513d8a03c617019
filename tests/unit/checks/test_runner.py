"""Which checks run, in which order, and what follows from a control."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from checks import causes, runner, trace_file, verdicts
from checks.client import ApiError
from checks.good_run import NoGoodRun
from checks.lab import Lab
from checks.lanes import CannotRun
from checks.model import Check, Exhibit, Level, Need, Outcome, Report, Result, Verdict
from checks.options import Options, RunningSandbox
from checks.purchases import word
from checks.runner import Schedule, select
from checks.sharing import LeaseLost
from checks.starvation import Starvation
from checks.timing import UNKNOWN, Budget, Timing
from requests_queue.redaction import MASK
from tests.unit.checks import traces

GOOD = verdicts.passed("Fine.")
BAD = verdicts.failed("Broken.")


def check(pk: str, run: Callable[[Lab], Verdict] = lambda lab: GOOD, **values: Any) -> Check:
    return Check(
        pk,
        Level.MUST,
        "A title",
        "Sent.",
        "Expected.",
        "Why.",
        "Fix.",
        run,
        is_control=pk.endswith(".control"),
        **values,
    )


class Listener:
    def __init__(self) -> None:
        self.results: list[Result] = []

    def started(self, check: Check) -> None:
        pass

    def ended(self, result: Result) -> None:
        self.results.append(result)

    def close(self) -> None:
        pass


def signer(secret: str) -> SimpleNamespace:
    return SimpleNamespace(secret=secret)


@dataclass
class FakeLab:
    """What the runner itself uses of a lab; the checks of these tests use nothing of it."""

    platform: Any = field(
        default_factory=lambda: SimpleNamespace(version=lambda: "1.0", random=Random())
    )
    process: Any = None
    timing: Timing = UNKNOWN
    is_deep: bool = False
    validator: Any = None
    signer: Any = field(default_factory=lambda: signer("of-the-handler"))
    other: Any = field(default_factory=lambda: signer("of-the-handler"))
    stranger: Any = field(default_factory=lambda: signer("of-a-stranger"))
    budget: Budget = field(default_factory=Budget)
    webhook: str = "WH-1"

    def mark(self) -> str:
        return "0.1"

    def measure(self) -> None:
        pass


class FakeLane:
    note = "The sandbox was restored."

    def __init__(self, error: str = "") -> None:
        self.lab, self.error = FakeLab(), error
        # For each time whether the check before had failed.
        self.backs: list[bool] = []
        self.interrupted, self.closed = threading.Event(), False

    def open(self) -> Lab:
        if self.error:
            raise CannotRun(self.error)
        return cast(Lab, self.lab)

    def back(self, *, after_failure: bool = False) -> None:
        self.backs.append(after_failure)

    def output(self) -> str:
        return "printed"

    def interrupt(self) -> None:
        self.interrupted.set()

    def close(self) -> None:
        self.closed = True


class Machine(Starvation):
    """A machine that is starved or slow, or not, whatever runs beside the tests."""

    def __init__(self, is_starved: bool = False, slowdown: float = 1.0) -> None:
        super().__init__()
        self.is_starved, self._slowdown = is_starved, slowdown

    def was_starved(self, since: float) -> bool:
        return self.is_starved

    def slowdown(self) -> float:
        return self._slowdown


def worked(
    *checks: Check,
    lane: FakeLane | None = None,
    machine: Starvation | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Schedule:
    used = Options(**{"run": "handler", **options})
    schedule = Schedule(checks, used, listener or Listener(), machine or Machine())
    schedule.work(lane or FakeLane())
    return schedule


def run_checks(
    monkeypatch: pytest.MonkeyPatch, checks: Sequence[Check], *lanes: FakeLane, **options: Any
) -> Report:
    """Run these checks in place of the catalog's."""
    monkeypatch.setattr("checks.catalog.CHECKS", tuple(checks))
    monkeypatch.setattr("checks.lanes.create", lambda options: list(lanes))
    return runner.run(Options(**{"run": "handler", **options}), Listener())


def outcomes(schedule: Schedule) -> dict[str, str]:
    return {result.check.id: result.verdict.outcome.value for result in schedule.results()}


AUTH, RACE = ["auth.control", "auth.get"], ["race.control", "race.stale"]
VALIDATOR = ["validator.control", "validator.echo"]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({}, AUTH + RACE),
        ({"type": "validator"}, VALIDATOR),
        ({"type": "all"}, AUTH + RACE + VALIDATOR),
        # A selected check brings the control of its group, also one that is ignored.
        ({"selected": ("auth.get",)}, AUTH),
        ({"selected": ("race.*",), "ignored": ("*.control",)}, RACE),
        ({"selected": ("race.*",), "ignored": ("race.*",)}, []),
    ],
)
def test_checks_of_the_type_are_selected_with_their_controls(
    options: dict[str, Any], ids: list[str]
) -> None:
    needs = frozenset({Need.VALIDATOR})
    checks = [check(pk) for pk in AUTH + RACE] + [check(pk, needs=needs) for pk in VALIDATOR]
    assert [each.id for each in select(checks, Options(run="handler", **options))] == ids


def test_checks_of_a_group_are_skipped_if_its_control_fails():
    schedule = worked(
        check("auth.control", lambda lab: BAD),
        check("auth.get"),
        check("race.control"),
        check("race.stale"),
    )
    assert outcomes(schedule) == {
        "auth.control": "fail",
        "auth.get": "skipped",
        "race.control": "pass",
        "race.stale": "pass",
    }


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({}, ["crash.control", "auth.control", "crash.api_500", "auth.get"]),
        # It can't be started again when a crash has damaged it.
        ({"run": "", "url": "http://127.0.0.1/"},
         ["auth.control", "crash.control", "auth.get", "crash.api_500"]),
    ],
)  # fmt: skip
def test_crashes_are_last_for_a_handler_that_is_not_started_again(
    options: dict[str, str], ids: list[str]
) -> None:
    listener = Listener()
    names = ("crash.api_500", "auth.get", "crash.control", "auth.control")
    worked(*map(check, names), listener=listener, **options)
    assert [result.check.id for result in listener.results] == ids


# The measurement has changed the world of events already.
@pytest.mark.parametrize(("type", "restores"), [("event", [1, 2]), ("validator", [0, 1])])
def test_world_is_restored_before_each_check_that_finds_it_changed(
    type: str, restores: list[int]
) -> None:
    lane = FakeLane()
    begun: list[int] = []

    def begin(lab: Lab) -> Verdict:
        begun.append(len(lane.backs))
        return GOOD

    worked(check("auth.control", begin), check("auth.get", begin), lane=lane, type=type)
    assert begun == restores


@pytest.mark.parametrize(
    ("verdict", "has_failed"),
    [
        (GOOD, False), (verdicts.skipped("By a timer."), False), (BAD, True),
        (verdicts.inconclusive("Void."), True),
        # Its work for a forged request was waited for.
        (verdicts.failed("Acted.", cause=causes.ACTED), False),
        (verdicts.failed("Hid it.", cause=causes.HIDES), True),
    ],
)  # fmt: skip
def test_handler_may_have_work_left_after_a_check_that_it_did_not_pass(
    verdict: Verdict, has_failed: bool
) -> None:
    lane = FakeLane()
    worked(
        check("auth.control"), check("auth.get", lambda lab: verdict), check("auth.late"), lane=lane
    )
    assert lane.backs == [False, False, has_failed]


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (KeyError("id"), "KeyError"),
        (NoGoodRun("PR-1 is failed."), "There is no good run to repeat: PR-1 is failed."),
    ],
)
def test_error_of_a_check_proves_nothing(error: Exception, part: str) -> None:
    def broken(lab: Lab) -> Verdict:
        raise error

    result = worked(check("auth.control"), check("auth.get", broken)).results()[1]
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert part in result.verdict.text


def void(lab: Lab) -> Verdict:
    return verdicts.void("the handler read nothing.")


def refused(lab: Lab) -> Verdict:
    raise ApiError("PUT /public/v1/requests/PR-1: 400 It is approved.", 400)


@pytest.mark.parametrize("run", [void, refused])
@pytest.mark.parametrize(
    ("interval", "outcome"), [(0.0, Outcome.INCONCLUSIVE), (1.0, Outcome.SKIPPED)]
)
def test_check_that_a_polling_handler_has_come_before_is_skipped(
    run: Callable[[Lab], Verdict], interval: float, outcome: Outcome
) -> None:
    lane = FakeLane()
    lane.lab.timing = replace(UNKNOWN, interval=interval)
    result = worked(check("auth.control"), check("auth.get", run), lane=lane).results()[1]
    assert result.verdict.outcome is outcome
    assert ("timer of its own" in result.verdict.text) == bool(interval)


def failed(lab: Lab) -> Verdict:
    raise ApiError("POST /public/v1/requests: 500 Server error.", 500)


@pytest.mark.parametrize(
    ("pk", "run"),
    [("auth.get", failed), ("auth.control", failed), ("auth.control", refused)],
    ids=["an error of the sandbox", "an error in a control", "a refusal in a control"],
)
def test_no_timer_explains_an_error_of_the_sandbox_or_in_a_control(
    pk: str, run: Callable[[Lab], Verdict]
) -> None:
    lane = FakeLane()
    lane.lab.timing = replace(UNKNOWN, interval=1.0)
    checks = {"auth.control": check("auth.control"), "auth.get": check("auth.get")}
    schedule = worked(*{**checks, pk: check(pk, run)}.values(), lane=lane)
    assert outcomes(schedule)[pk] == "inconclusive"


def test_check_that_has_lost_the_lease_ends_the_run_without_a_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost() -> str:
        raise LeaseLost

    def refused(lab: Lab) -> Verdict:
        monkeypatch.setattr(lab.platform, "version", lost)
        raise ApiError("GET /public/v1/requests/PR-1: 404 Not found.", 404)

    schedule = worked(check("auth.control"), check("auth.get", refused), check("auth.late"))
    assert outcomes(schedule) == {"auth.control": "pass"}
    assert schedule.error == str(LeaseLost())


@pytest.mark.parametrize(("need", "word"), [(Need.PROCESS, "--run"), (Need.DEEP, "--deep")])
def test_check_whose_need_is_missing_is_skipped_with_the_option(need: Need, word: str):
    schedule = worked(
        check("auth.control"), check("auth.deep", needs=frozenset({Need.EVENT, need}))
    )
    result = schedule.results()[1]
    assert result.verdict.outcome is Outcome.SKIPPED
    assert word in result.verdict.text


def test_checks_of_drafts_are_skipped_with_the_reason_if_the_product_has_none():
    needs = frozenset({Need.VALIDATOR})
    schedule = worked(
        check("validator.control", needs=needs),
        check("validator.echo", needs=needs),
        check("auth.control"),
        type="all",
    )
    results = {each.check.id: each.verdict for each in schedule.results()}
    assert [each.outcome.value for each in results.values()] == ["skipped", "skipped", "pass"]
    assert "cart.validation" in results["validator.control"].text
    assert results["validator.echo"].text == results["validator.control"].text


def test_lane_that_cannot_open_ends_the_run_with_its_reason():
    schedule = worked(check("auth.control"), lane=FakeLane("The handler did not start."))
    assert schedule.error == "The handler did not start."
    assert schedule.results() == ()
    assert schedule.output == "printed"


def test_second_lane_waits_for_the_control_of_the_first():
    begun, go_on = threading.Event(), threading.Event()

    def slow(lab: Lab) -> Verdict:
        begun.set()
        assert go_on.wait(10)
        return BAD

    schedule = Schedule(
        [check("auth.control", slow), check("auth.get")],
        Options(run="handler"),
        Listener(),
        Machine(),
    )
    lanes = [threading.Thread(target=schedule.work, args=[FakeLane()]) for _ in range(2)]
    lanes[0].start()
    assert begun.wait(10)
    lanes[1].start()
    go_on.set()
    for lane in lanes:
        lane.join(10)
    assert outcomes(schedule) == {"auth.control": "fail", "auth.get": "skipped"}


def test_checks_that_share_a_measurement_run_in_one_lane():
    begun, others_done = threading.Event(), threading.Event()
    labs: dict[str, Lab] = {}

    def first(lab: Lab) -> Verdict:
        labs["first"] = lab
        begun.set()
        assert others_done.wait(10)
        return GOOD

    def second(lab: Lab) -> Verdict:
        labs["second"] = lab
        return GOOD

    def other(lab: Lab) -> Verdict:
        others_done.set()
        return GOOD

    measured = (check(f"auth.{run.__name__}", run, measurement="m") for run in (first, second))
    checks = [check("auth.control"), *measured, check("auth.other", other)]
    schedule = Schedule(checks, Options(run="handler"), Listener(), Machine())
    lanes = [threading.Thread(target=schedule.work, args=[FakeLane()]) for _ in range(2)]
    lanes[0].start()
    assert begun.wait(10)
    lanes[1].start()
    for lane in lanes:
        lane.join(10)
    assert labs["first"] is labs["second"]
    assert set(outcomes(schedule).values()) == {"pass"}


def test_lane_does_not_open_when_the_run_has_ended_before_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    begun, go_on = threading.Event(), threading.Event()
    opened: list[FakeLane] = []

    class SlowLane(FakeLane):
        def open(self) -> Lab:
            opened.append(self)
            begun.set()
            assert go_on.wait(10)
            return super().open()

    schedule = Schedule([check("auth.control")], Options(run="handler"), Listener(), Machine())
    lanes = [SlowLane(), SlowLane()]
    threads = [threading.Thread(target=schedule.work, args=[lane]) for lane in lanes]
    threads[0].start()
    assert begun.wait(10)
    threads[1].start()
    schedule.interrupt()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert opened == lanes[:1]


def test_failure_on_a_starved_machine_proves_nothing():
    failing = check("auth.get", lambda lab: BAD)
    schedule = worked(check("auth.control"), failing, machine=Machine(is_starved=True))
    assert outcomes(schedule) == {"auth.control": "pass", "auth.get": "inconclusive"}
    text = schedule.results()[1].verdict.text
    assert text.startswith("Not judged, because other programs") and text.endswith(BAD.text)


def test_handler_that_ends_during_a_check_fails_it_with_its_output():
    lane = FakeLane()
    lane.lab.process = SimpleNamespace(
        secrets=frozenset(),
        is_alive=False,
        death="The handler ended with exit code 1.",
        output=lambda: "KeyError: 'exp'",
    )
    [result] = worked(check("auth.control"), lane=lane).results()
    assert result.verdict.outcome is Outcome.FAIL
    assert result.verdict.text == "The handler ended with exit code 1."
    assert "KeyError: 'exp'" in result.verdict.evidence[0].lines


def test_report_has_the_command_that_runs_a_check_again():
    [result] = worked(check("auth.control")).results()
    assert result.reproduce == "connect-sim check --run handler --select auth.control --seed 0"


def test_runner_reports_that_nothing_matches(monkeypatch: pytest.MonkeyPatch):
    report = run_checks(monkeypatch, [check("auth.get")], FakeLane(), selected=("nothing.*",))
    assert report.results == () and not report.error


def test_interruption_ends_the_lanes_and_keeps_the_results_until_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupting(lab: Lab) -> Verdict:
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        assert lane.interrupted.wait(20)
        # It failed because the handler was killed.
        return BAD

    lane = FakeLane()
    checks = (check("a.control"), check("b.control", interrupting), check("c.control"))
    report = run_checks(monkeypatch, checks, lane)
    assert [result.check.id for result in report.results] == ["a.control"]
    assert report.error == "The run was interrupted."
    assert lane.closed


@pytest.mark.parametrize(
    ("group", "count", "used"),
    [("auth", 1, 1), ("auth", 9, 1), ("auth", 10, 2), ("crash", 1, 1), ("crash", 2, 2)],
)
def test_short_checks_use_few_lanes(
    monkeypatch: pytest.MonkeyPatch, group: str, count: int, used: int
) -> None:
    created = [FakeLane() for _ in range(3)]
    checks = [check(f"{group}.{name}") for name in ("control", *range(count))]
    report = run_checks(monkeypatch, checks, *created)
    assert len(report.results) == count + 1
    assert report.notes == (FakeLane.note,) * used
    assert [lane.closed for lane in created] == [True] * used + [False] * (3 - used)


def test_seed_decides_what_each_check_draws() -> None:
    """Also where others run before it, or none."""
    drawn: list[str] = []

    def draw(lab: Lab) -> Verdict:
        drawn.append(word(lab.platform.random))
        return GOOD

    first, second = check("auth.control", draw), check("token.control", draw)
    for checks, seed in (([first, second], 7), ([second], 7), ([second, first], 8)):
        worked(*checks, seed=seed)
    assert drawn[1] == drawn[2] and len({*drawn}) == 4


def test_results_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither those of the options, nor those that a check gives to the handler."""

    keys = "SU-610-138-900:vendor-key", "SU-318-442-900:provider-key"
    shown = [*keys, "of-the-option", "of-the-handler", "of-a-stranger", "of-the-restart"]
    lane = FakeLane()

    def leaking(lab: Lab) -> Verdict:
        lane.lab.process = SimpleNamespace(secrets={"of-the-restart"}, is_alive=True)
        return verdicts.failed(" ".join(shown), Exhibit("Response", tuple(shown)))

    listener = Listener()
    monkeypatch.setattr(lane, "output", lambda: "printed " + " ".join(shown))
    monkeypatch.setattr("checks.catalog.CHECKS", (check("a.control", leaking),))
    monkeypatch.setattr("checks.lanes.create", lambda options: [lane])
    options = Options(
        url="http://h/", secret="of-the-option", sandbox=RunningSandbox("http://sim", *keys)
    )
    report = runner.run(options, listener)
    assert "Response" in repr(report) and "printed" in report.output
    for text in (repr(report), repr(listener.results)):
        assert not [each for each in shown if each in text]


def controls(*results: Verdict) -> list[Check]:
    """Groups whose controls do the same; the results are those of the controls in turn."""
    left = list(results)

    def control(lab: Lab) -> Verdict:
        return left.pop(0)

    return [
        one for name in "abc" for one in (check(f"{name}.control", control), check(f"{name}.x"))
    ]


def test_run_ends_when_the_first_control_fails_for_all_groups():
    schedule = worked(*controls(BAD))
    assert outcomes(schedule) == {
        "a.control": "fail",
        **dict.fromkeys(("a.x", "b.control", "b.x", "c.control", "c.x"), "skipped"),
    }
    assert {each.verdict.text for each in schedule.results()[2:]} == {
        "Not judged: a.control failed, and this group begins with the same request."
    }


def test_other_groups_are_judged_when_their_controls_have_passed():
    schedule = worked(*controls(GOOD, BAD, GOOD))
    assert outcomes(schedule) == {
        "a.control": "pass",
        "a.x": "pass",
        "b.control": "fail",
        "b.x": "skipped",
        "c.control": "pass",
        "c.x": "pass",
    }


def test_control_that_was_not_selected_is_a_prerequisite():
    schedule = worked(check("a.control"), check("a.x"), selected=("a.x",))
    assert [each.is_prerequisite for each in schedule.results()] == [True, False]


@pytest.mark.parametrize(("level", "strict", "ends"), [
    (Level.MUST, False, True), (Level.SHOULD, False, False), (Level.SHOULD, True, True),
])  # fmt: skip
def test_fail_fast_ends_the_run_after_a_failure_that_counts(level: Level, strict: bool, ends: bool):
    first = replace(check("auth.a", lambda lab: BAD), level=level)
    checks = [check("auth.control"), first, check("auth.b")]
    schedule = worked(*checks, fail_fast=True, strict=strict)
    assert outcomes(schedule) == {
        "auth.control": "pass",
        "auth.a": "fail",
        "auth.b": "skipped" if ends else "pass",
    }
    assert not schedule.error


def test_what_is_left_after_the_time_is_inconclusive(monkeypatch: pytest.MonkeyPatch):
    """The check that runs ends by the interruption of its lane, in whatever way."""
    lane = FakeLane()

    def last(lab: Lab) -> Verdict:
        assert lane.interrupted.wait(30)
        raise CannotRun("The sandbox was stopped.")

    checks = [check("auth.control"), check("auth.b", last), check("auth.c")]
    monkeypatch.setattr(runner.starvation, "watching", lambda: nullcontext(Machine()))
    report = run_checks(monkeypatch, checks, lane, max_time=0.2)
    assert [each.verdict.outcome.value for each in report.results] == [
        "pass",
        "inconclusive",
        "inconclusive",
    ]
    assert {each.verdict.text for each in report.results[1:]} == {runner._LATE}
    assert (report.error, lane.closed) == ("", True)


@pytest.mark.parametrize(("slowdown", "seconds"), [(1.0, 50), (3.0, 150)])
def test_check_that_takes_too_long_is_not_judged(slowdown: float, seconds: int):
    def last(lab: Lab) -> Verdict:
        lab.budget.check(needed=160)
        return GOOD

    deep = replace(check("auth.deep", last), needs=frozenset({Need.EVENT, Need.DEEP}))
    lane = FakeLane()
    lane.lab.is_deep = True
    machine = Machine(slowdown=slowdown)
    schedule = worked(
        check("auth.control"), check("auth.b", last), deep, lane=lane, machine=machine
    )
    assert outcomes(schedule) == {
        "auth.control": "pass",
        "auth.b": "inconclusive",
        "auth.deep": "pass",
    }
    assert f"lasts at most {seconds} s" in schedule.results()[1].verdict.text
    # What follows a check has no limit.
    lane.lab.budget.check(needed=3600)


def test_trace_of_a_failure_has_no_secret_of_the_run(tmp_path: Path) -> None:
    sent: list[tuple[str, Any]] = []

    def trace(since: str, about: Any) -> bytes:
        sent.append((since, about))
        content = traces.content()
        content["calls"][0]["response_body"] = "a secret of-a-stranger"
        return trace_file.pack(content)

    lane = FakeLane()
    lane.lab.platform.trace = trace
    # The sandbox refuses NUL.
    response = Exhibit("Response", ("of-the-handler\0",))
    bad = verdicts.failed("It has said of-the-handler.", response)
    checks = (check("auth.control"), check("auth.get", lambda lab: bad))
    # Of an earlier run, in which a check failed that passes now.
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / f"auth.control{trace_file.SUFFIX}").touch()
    schedule = worked(*checks, lane=lane, traces=tmp_path / "new", seed=3)
    [path] = (tmp_path / "new").iterdir()
    passed, failed = schedule.results()
    assert (passed.trace, failed.trace) == ("", str(path))
    [(since, about)] = sent
    assert (since, about["name"], about["kind"], about["seed"]) == ("0.1", "auth.get", "check", 3)
    [failure] = about["failures"]
    assert failure["webhook"] == "WH-1" and "of-the-handler" not in str(about)
    assert failure["evidence"] == [{"title": "Response", "lines": [f"{MASK}␀"]}]
    assert trace_file.load(path)["calls"][0]["response_body"] == f"a secret {MASK}"


@pytest.mark.parametrize(
    "returned", [ApiError("The sandbox failed."), b"no trace", OSError("No space left")]
)
def test_verdict_is_worth_more_than_its_trace(tmp_path: Path, returned: Any) -> None:
    def trace(since: str, about: Any) -> bytes:
        if isinstance(returned, Exception):
            raise returned
        return cast(bytes, returned)

    lane = FakeLane()
    lane.lab.platform.trace = trace
    schedule = worked(check("auth.control", lambda lab: BAD), lane=lane, traces=tmp_path)
    assert outcomes(schedule) == {"auth.control": "fail"} and not schedule.error
    [note] = schedule.notes
    assert note.startswith("The trace of auth.control was not written: ")
    assert list(tmp_path.iterdir()) == [] and schedule.results()[0].trace == ""
