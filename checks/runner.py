"""Run checks: controls first, each check in a fresh world, several lanes beside each other."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil

from checks import causes, failure_traces, lanes, starvation, verdicts
from checks.client import ApiError
from checks.good_run import NoGoodRun
from checks.lab import Lab, secrets_of
from checks.lanes import CannotRun, Lane
from checks.model import Check, Exhibit, Need, Outcome, Report, Result, Verdict
from checks.options import ALL, EVENT, EXTENSION, VALIDATOR, Options
from checks.outputs.marks import Mark, mark
from checks.outputs.masking import mask_report, mask_result
from checks.outputs.progress import Progress
from checks.sharing import LeaseLost
from checks.starvation import Starvation
from checks.timing import OutOfTime
from checks.trace_file import BadTrace

# Seconds that a check or those of a group take, roughly, for a handler that works at once; others
# half a second. The longest come first, so that the lanes end at about the same time; but last for
# a handler that can't be started again, which the first of them may damage.
_SECONDS = {
    "crash": 10.0,
    "race": 8.0,
    "deploy": 4.0,
    "extension": 4.0,
    "turn": 4.0,
    "client": 6.0,
    "speed": 4.0,
    "effects": 3.0,
    "delivery": 2.5,
    "retry": 2.0,
    # Two checks of speed need no orders of their own after it.
    "effects.all_pending": 10.0,
    "token.expired_meanwhile": 2.0,
}
_OTHERS = 0.5
# A lane is worth its start for so many seconds of checks.
_WORTH = 5.0

_STARVED = (
    "Not judged, because other programs left this machine too little CPU time: what is missing may "
    "only be late."
)
_LATE = "Not judged: the time of --max-time was over."
_NO_DRAFTS = (
    "The product has no drafts to validate: its capability cart.validation is off. Turn it on, or "
    "choose another product by --product."
)
_BY_TIMER = "The handler works by a timer of its own, not only when the check expects it."
# How the sandbox refuses what somebody else has done meanwhile.
_TOO_LATE = (400, 409)
_NOT_PROCESSED = "A genuine request is not processed."
_WAKE = 0.5  # seconds until the next look for a signal


def run(options: Options, progress: Progress, given: Sequence[Lane] = ()) -> Report:
    """Run the selected checks and return the report; never raises for what a handler does.

    KeyboardInterrupt ends the run: the report says so, and has the results until then. `given` are
    lanes to use.
    """
    from checks.catalog import CHECKS

    checks = select(CHECKS, options)
    started, began = datetime.now(UTC), time.monotonic()
    deadline = began + options.max_time if options.max_time else float("inf")
    with starvation.watching() as machine:
        schedule = Schedule(checks, options, progress, machine)
        opened = [*given] or lanes.create(options)[: _count_lanes(checks)]
        try:
            if opened:
                _work(schedule, opened, deadline)
        finally:
            for lane in opened:
                schedule.close(lane)
            schedule.finish()
            progress.close()
    report = Report(
        options.target,
        schedule.version,
        started.isoformat(timespec="seconds"),
        time.monotonic() - began,
        options.seed,
        options.strict,
        schedule.results(),
        error=schedule.error,
        output=schedule.output,
        notes=(*(lane.note for lane in opened if lane.note), *schedule.notes),
    )
    return mask_report(report, schedule.secrets)


def _work(schedule: Schedule, opened: Sequence[Lane], deadline: float) -> None:
    """Run checks in all lanes; an interruption of the program, or the deadline, ends them soon."""
    with ThreadPoolExecutor(len(opened)) as pool:
        try:
            futures = [pool.submit(schedule.work, lane) for lane in opened]
            # Python handles a signal that arrives right before a wait when that has ended.
            while wait(futures, _WAKE, FIRST_EXCEPTION).not_done:
                _raise_first(futures)
                if time.monotonic() >= deadline and not schedule.is_late:
                    schedule.end_late()
                    for lane in opened:
                        lane.interrupt()
            _raise_first(futures)
        except BaseException as error:
            schedule.interrupt()
            for lane in opened:
                lane.interrupt()
            if not isinstance(error, KeyboardInterrupt):
                raise


def _raise_first(futures: Iterable[Future[None]]) -> None:
    for future in futures:
        if future.done():
            future.result()


def select(checks: Iterable[Check], options: Options) -> list[Check]:
    """Return the selected checks that apply, with the controls of their groups."""
    applicable = [check for check in checks if _applies(check, options)]
    chosen = [check for check in applicable if _is_chosen(check, options)]
    groups = {check.group for check in chosen}
    return [
        check
        for check in applicable
        if check in chosen or (check.is_control and check.group in groups)
    ]


def _is_chosen(check: Check, options: Options) -> bool:
    """Return whether a check is selected itself, and not only needed by others."""
    is_selected = not options.selected or check.matches(options.selected)
    return is_selected and not check.matches(options.ignored)


def _applies(check: Check, options: Options) -> bool:
    """Return whether a check is about the type of webhook."""
    if options.type == EXTENSION:
        return check.extension is not None
    types = {Need.EVENT: (EVENT, ALL), Need.VALIDATOR: (VALIDATOR, ALL), Need.EXTENSION: ()}
    return all(options.type in types[need] for need in check.needs if need in types)


class Schedule:
    """Hands out checks to lanes: a group's control first, and the rest when it has passed."""

    def __init__(
        self, checks: Sequence[Check], options: Options, progress: Progress, machine: Starvation
    ) -> None:
        self._options, self._progress, self._machine = options, progress, machine
        self._checks = checks
        self._order = {check.id: place for place, check in enumerate(checks)}
        self._left = sorted(checks, key=lambda check: _priority(check, options))
        self._controls: dict[str, Outcome | None] = {
            check.group: None for check in checks if check.is_control
        }
        self._results: dict[str, Result] = {}
        # By measurement, or by the id of a check: the lane to which it belongs.
        self._lanes: dict[str, Lane] = {}
        # Each start keeps a core busy: more of them at once only delay the first check.
        self._starts = threading.Semaphore(os.cpu_count() or 1)
        self._changed = threading.Condition()
        self._is_interrupted = self.is_late = False
        self.error = self.version = self.output = ""
        # Sentences for the report.
        self.notes: list[str] = []
        # What no result may show.
        self.secrets = set(options.secrets)

    def results(self) -> tuple[Result, ...]:
        """Return the results in the order of the catalog."""
        results = causes.named(self._results.values())
        return tuple(sorted(results, key=lambda result: self._order[result.check.id]))

    def work(self, lane: Lane) -> None:
        """Run checks in a lane until none is left, or the run cannot go on."""
        try:
            with self._starts:
                if self.error or not self._left:
                    return
                lab = lane.open()
            self.version = self.version or lab.platform.version()
            is_fresh = self._options.type == VALIDATOR or not self._options.measures
            if not is_fresh:
                lab.measure()
            after_failure = False
            while (check := self._take(lane)) is not None:
                # Before a check and not after it: nothing needs a restored sandbox at the end.
                if not is_fresh:
                    lane.back(after_failure=after_failure)
                after_failure = _may_go_on(self._run(check, lab))
                is_fresh = False
        except (CannotRun, LeaseLost) as error:
            self._stop(str(error))
        except ApiError as error:
            self._stop(f"The sandbox failed: {error}")
        except BaseException:
            self.interrupt()
            raise
        finally:
            self.output = self.output or lane.output()

    def interrupt(self) -> None:
        """Hand out no more checks, and count no more results: the lanes are ended next."""
        self._is_interrupted = True
        self._stop("The run was interrupted.")

    def end_late(self) -> None:
        """Hand out no more checks, because the time is over: the lanes are ended next."""
        with self._changed:
            self.is_late = True
            self._left.clear()
            self._changed.notify_all()

    def finish(self) -> None:
        """Note that what has no result came too late."""
        if self.is_late:
            for check in self._checks:
                if check.id not in self._results:
                    self._end(check, verdicts.inconclusive(_LATE), 0.0)

    def close(self, lane: Lane) -> None:
        """Close a lane; what it leaves behind is an error of the run."""
        try:
            lane.close()
        except CannotRun as error:
            self.error = self.error or str(error)

    def _run(self, check: Check, lab: Lab) -> Verdict:
        """Run a check, keep its result, and return the verdict."""
        with self._changed:
            self._progress.started(check)
        since = ""
        if folder := self._options.traces:
            since = lab.mark()
            with suppress(OSError):
                failure_traces.remove(folder, check.id)
        began = time.monotonic()
        verdict = self._missing(check, lab) or self._judge(check, lab)
        is_judged = verdict.outcome in (Outcome.PASS, Outcome.SKIPPED)
        if not is_judged and self._machine.was_starved(began):
            verdict = verdicts.inconclusive(f"{_STARVED} {verdict.text}", *verdict.evidence)
        verdict = _about_process(verdict, lab)
        # The check may have given the handler another secret.
        self.secrets |= secrets_of(lab)
        if not (self._is_interrupted or self.is_late):
            seconds = time.monotonic() - began
            trace = self._write_trace(check, verdict, lab, since) if since else ""
            self._end(check, verdict, seconds, trace)
        return verdict

    def _write_trace(self, check: Check, verdict: Verdict, lab: Lab, since: str) -> str:
        """Write the trace of a failure, and return its path; an error doesn't end the run."""
        if verdict.outcome is not Outcome.FAIL or self._options.traces is None:
            return ""
        shown = self._options.without_values()
        result = replace(
            self._result(check, verdict, 0.0),
            reproduce=shown.reproduce(check.id, *verdict.repeated_by),
        )
        result = mask_result(result, self.secrets)
        folder, seed = self._options.traces, self._options.seed
        try:
            path = failure_traces.write(folder, result, seed, lab, since, self.secrets)
        except (OSError, ApiError, BadTrace) as error:
            self.notes += [f"The trace of {check.id} was not written: {error}"]
            return ""
        return str(path)

    def _judge(self, check: Check, lab: Lab) -> Verdict:
        """Run a check; an error of the check itself proves nothing about the handler."""
        lab.platform.random.seed(f"{self._options.seed} {check.id}")
        if Need.DEEP not in check.needs:
            lab.budget.begin(lab.timing.check * self._machine.slowdown())
        has_timer = lab.timing.interval > 0 and not check.is_control
        try:
            run = check.extension if self._options.type == EXTENSION else check.run
            assert run is not None, "not selected"
            verdict = run(lab)
            if has_timer and verdict.cause == causes.VOID:
                return verdicts.skipped(f"{_BY_TIMER} {verdict.text}")
            return verdict
        except OutOfTime:
            return verdicts.inconclusive(
                "Not judged: the handler takes too long for it. A check lasts at most "
                f"{lab.budget.seconds:.0f} s."
            )
        except NoGoodRun as error:
            return verdicts.inconclusive(f"There is no good run to repeat: {error}")
        except ApiError as error:
            if not _answers(lab):
                raise
            text = f"The sandbox refused a call of the check: {error}"
            if has_timer and error.status in _TOO_LATE:
                return verdicts.skipped(f"{_BY_TIMER} {text}")
            return verdicts.inconclusive(text)
        except Exception as error:
            lines = traceback.format_exc(limit=-4).splitlines()
            return verdicts.inconclusive(
                f"The check itself failed: {type(error).__name__}.",
                Exhibit("Traceback", tuple(lines)),
            )
        finally:
            lab.budget.end()

    def _missing(self, check: Check, lab: Lab) -> Verdict | None:
        """Return why a check cannot be run here, or None."""
        if Need.PROCESS in check.needs and lab.process is None:
            return verdicts.skipped("Needs --run: it starts the handler again.")
        if Need.DEEP in check.needs and not lab.is_deep:
            return verdicts.skipped("Needs --deep: it takes minutes.")
        if Need.VALIDATOR in check.needs and lab.validator is None:
            return verdicts.skipped(_NO_DRAFTS)
        return None

    def _end(self, check: Check, verdict: Verdict, seconds: float, trace: str = "") -> None:
        with self._changed:
            if check.is_control:
                self._controls[check.group] = verdict.outcome
                # The same for all controls, whatever their orders were.
                verdict = replace(verdict, cause=_NOT_PROCESSED)
            result = self._note(check, verdict, seconds, trace)
            if self._options.fail_fast and mark(result, self._options.strict) is Mark.FAIL:
                text = f"Not run: {check.id} failed, and --fail-fast ends the run."
                self._skip(self._left, text)
            elif check.is_control and verdict.outcome is Outcome.FAIL:
                self._skip_like(check)
            elif check.is_control and verdict.outcome is Outcome.SKIPPED:
                self._skip([c for c in self._left if c.group == check.group], verdict.text)
            self._changed.notify_all()

    def _skip_like(self, failed: Check) -> None:
        """Skip all groups that begin with the same request as a failed control.

        Unless one of them has passed: then the handler processes it, as a rule.
        """
        controls = [each for each in self._checks if each.is_control and each.run is failed.run]
        groups = {each.group for each in controls} - {failed.group}
        if not any(self._controls[group] is Outcome.PASS for group in groups):
            text = f"Not judged: {failed.id} failed, and this group begins with the same request."
            self._skip([each for each in self._left if each.group in groups], text)

    def _note(self, check: Check, verdict: Verdict, seconds: float, trace: str = "") -> Result:
        """Keep a result, tell the progress, and return it."""
        result = replace(self._result(check, verdict, seconds), trace=trace)
        self._results[check.id] = result = mask_result(result, self.secrets)
        self._progress.ended(result)
        return result

    def _result(self, check: Check, verdict: Verdict, seconds: float) -> Result:
        return Result(
            check,
            verdict,
            seconds,
            self._options.reproduce(check.id, *verdict.repeated_by),
            is_prerequisite=not _is_chosen(check, self._options),
        )

    def _skip(self, checks: Iterable[Check], text: str) -> None:
        for check in list(checks):
            self._left.remove(check)
            self._note(check, verdicts.skipped(text), 0.0)

    def _take(self, lane: Lane) -> Check | None:
        """Return the next check that may run in a lane, or None at the end; waits for controls."""
        with self._changed:
            while self._left and not self.error:
                for check in self._left:
                    outcome = self._controls.get(check.group)
                    if check.is_control or outcome is Outcome.PASS:
                        if self._lanes.setdefault(check.measurement or check.id, lane) is lane:
                            self._left.remove(check)
                            return check
                    elif outcome is not None:
                        control = f"{check.group}.control"
                        text = f"Not judged: the control of the group, {control}, did not pass."
                        self._skip([check], text)
                        break
                else:
                    self._changed.wait()
            return None

    def _stop(self, error: str) -> None:
        with self._changed:
            # What ends late fails in many ways.
            self.error = self.error or ("" if self.is_late else error)
            self._changed.notify_all()


def _priority(check: Check, options: Options) -> tuple[bool, float]:
    seconds = _seconds(check)
    return not check.is_control, -seconds if options.run else seconds


def _count_lanes(checks: Sequence[Check]) -> int:
    """Return how many lanes are worth their start; a control comes before the rest of its group."""
    others = sum(not check.is_control for check in checks)
    seconds = sum(_OTHERS if check.is_control else _seconds(check) for check in checks)
    return min(ceil(seconds / _WORTH), max(others, 1))


def _seconds(check: Check) -> float:
    return _SECONDS.get(check.id, _SECONDS.get(check.group, _OTHERS))


def _may_go_on(verdict: Verdict) -> bool:
    """Return whether a handler may repeat later what it could not do in a check.

    One that was seen to process a forged request has ended its work, as after a pass.
    """
    has_failed = verdict.outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE)
    return has_failed and verdict.cause != causes.ACTED


def _answers(lab: Lab) -> bool:
    try:
        lab.platform.version()
    except LeaseLost:
        raise
    except ApiError:
        return False
    return True


def _about_process(verdict: Verdict, lab: Lab) -> Verdict:
    """Return a failure if the handler's process has ended during a check."""
    process = lab.process
    if process is None or process.is_alive:
        return verdict
    exhibit = Exhibit("Output of the handler", tuple(process.output().splitlines()[-20:]))
    text = process.death or "The handler has ended during the check."
    evidence = (exhibit, *verdict.evidence)
    return replace(verdicts.failed(text, *evidence), repeated_by=verdict.repeated_by)
