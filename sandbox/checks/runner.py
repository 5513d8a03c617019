"""Run checks: controls first, each check in a fresh world, several lanes beside each other."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Protocol

from sandbox.checks import lanes, starvation, verdicts
from sandbox.checks.lab import Lab, secrets_of
from sandbox.checks.lanes import CannotRun, Lane
from sandbox.checks.model import Check, Exhibit, Need, Outcome, Report, Result, Verdict
from sandbox.checks.options import ALL, EVENT, VALIDATOR, Options
from sandbox.checks.outputs.masking import mask_report, mask_result
from sandbox.checks.sharing import LeaseLost
from sandbox.checks.starvation import Starvation
from sandbox.client import ApiError

# The longest first, so that the lanes end at about the same time.
_LONGEST = ("crash", "race", "speed", "effects", "client", "delivery", "retry")


_STARVED = (
    "Not judged, because other programs left this machine too little CPU time: what is missing may "
    "only be late."
)
_WAKE = 0.5  # seconds until the next look for a signal
_FEW = 4  # checks for which one lane is enough


class Progress(Protocol):
    """Is told about a run while it goes on, from several threads but one at a time."""

    def started(self, check: Check) -> None:
        """A check begins."""

    def ended(self, result: Result) -> None:
        """A check has ended."""

    def close(self) -> None:
        """No more follows."""


def run(options: Options, progress: Progress) -> Report:
    """Run the selected checks and return the report; never raises for what a handler does.

    KeyboardInterrupt ends the run: the report says so, and has the results until then.
    """
    from sandbox.checks.catalog import CHECKS

    checks = select(CHECKS, options)
    started, began = datetime.now(UTC), time.monotonic()
    with starvation.watching() as machine:
        schedule = Schedule(checks, options, progress, machine)
        opened = lanes.create(options)[: _useful_lanes(checks)]
        try:
            if opened:
                _work(schedule, opened)
        finally:
            for lane in opened:
                schedule.close(lane)
            progress.close()
    report = Report(
        options.target, schedule.version, started.isoformat(timespec="seconds"),
        time.monotonic() - began, options.seed, options.strict, schedule.results(),
        error=schedule.error, output=schedule.output,
        notes=tuple(lane.note for lane in opened if lane.note),
    )  # fmt: skip
    return mask_report(report, schedule.secrets)


def _useful_lanes(checks: Sequence[Check]) -> int:
    """Return how many lanes are worth the seconds of their start.

    A group waits for its control anyway, so for a check or two a second lane only takes time from
    the first.
    """
    return -(-len(checks) // _FEW)


def _work(schedule: Schedule, opened: Sequence[Lane]) -> None:
    """Run checks in all lanes; an interruption of the program lets them end soon."""
    with ThreadPoolExecutor(len(opened)) as pool:
        try:
            futures = [pool.submit(schedule.work, lane) for lane in opened]
            # Python handles a signal that arrives right before a wait when that has ended.
            while wait(futures, _WAKE, FIRST_EXCEPTION).not_done:
                _raise_first(futures)
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
    chosen = [
        check for check in applicable
        if (not options.selected or _matches(check.id, options.selected))
        and not _matches(check.id, options.ignored)
    ]  # fmt: skip
    groups = {check.group for check in chosen}
    return [
        check for check in applicable
        if check in chosen or (check.is_control and check.group in groups)
    ]  # fmt: skip


def _applies(check: Check, options: Options) -> bool:
    """Return whether a check is about the type of webhook."""
    types = {Need.EVENT: (EVENT, ALL), Need.VALIDATOR: (VALIDATOR, ALL)}
    return all(options.type in types[need] for need in check.needs if need in types)


def _matches(pk: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(pk, glob) for glob in globs)


class Schedule:
    """Hands out checks to lanes: a group's control first, and the rest when it has passed."""

    def __init__(
        self, checks: Sequence[Check], options: Options, progress: Progress, machine: Starvation
    ) -> None:
        self._options, self._progress, self._machine = options, progress, machine
        self._order = {check.id: place for place, check in enumerate(checks)}
        self._left = sorted(checks, key=_priority)
        self._controls: dict[str, Outcome | None] = {
            check.group: None for check in checks if check.is_control
        }
        self._results: dict[str, Result] = {}
        self._changed = threading.Condition()
        self._is_interrupted = False
        self.error = self.version = self.output = ""
        # What no result may show.
        self.secrets = set(options.secrets)

    def results(self) -> tuple[Result, ...]:
        """Return the results in the order of the catalog."""
        return tuple(sorted(self._results.values(), key=lambda r: self._order[r.check.id]))

    def work(self, lane: Lane) -> None:
        """Run checks in a lane until none is left, or the run cannot go on."""
        try:
            lab = lane.open()
            self.version = self.version or lab.platform.version()
            is_fresh = lab.validator is not None and self._options.type != ALL
            if not is_fresh:
                lab.measure()
            has_failed = False
            while (check := self._take()) is not None:
                # Before a check and not after it: nothing needs a restored sandbox at the end.
                if not is_fresh:
                    lane.back(after_failure=has_failed)
                has_failed = self._run(check, lab) in (Outcome.FAIL, Outcome.INCONCLUSIVE)
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

    def close(self, lane: Lane) -> None:
        """Close a lane; what it leaves behind is an error of the run."""
        try:
            lane.close()
        except CannotRun as error:
            self._stop(str(error))

    def _run(self, check: Check, lab: Lab) -> Outcome:
        """Run a check, keep its result, and return the outcome."""
        with self._changed:
            self._progress.started(check)
        began = time.monotonic()
        verdict = self._missing(check, lab) or _judge(check, lab)
        if verdict.outcome is Outcome.FAIL and self._machine.was_starved(began):
            verdict = verdicts.inconclusive(f"{_STARVED} {verdict.text}", *verdict.evidence)
        verdict = _about_process(verdict, lab)
        # The check may have given the handler another secret.
        self.secrets |= secrets_of(lab)
        if not self._is_interrupted:
            self._end(check, verdict, time.monotonic() - began)
        return verdict.outcome

    def _missing(self, check: Check, lab: Lab) -> Verdict | None:
        """Return why a check cannot be run here, or None."""
        if Need.PROCESS in check.needs and lab.process is None:
            return verdicts.skipped("Needs --run: it starts the handler again.")
        if Need.DEEP in check.needs and not lab.is_deep:
            return verdicts.skipped("Needs --deep: it takes minutes.")
        return None

    def _end(self, check: Check, verdict: Verdict, seconds: float) -> None:
        with self._changed:
            result = Result(check, verdict, seconds, self._options.reproduce(check.id))
            self._results[check.id] = result = mask_result(result, self.secrets)
            if check.is_control:
                self._controls[check.group] = verdict.outcome
            self._progress.ended(result)
            self._changed.notify_all()

    def _take(self) -> Check | None:
        """Return the next check that may run, or None at the end; waits for controls."""
        with self._changed:
            while self._left and not self.error:
                for check in self._left:
                    outcome = self._controls.get(check.group)
                    if check.is_control or outcome is Outcome.PASS:
                        self._left.remove(check)
                        return check
                    if outcome is not None:
                        self._left.remove(check)
                        self._skip(check)
                        break
                else:
                    self._changed.wait()
            return None

    def _skip(self, check: Check) -> None:
        text = f"Not judged: the control of the group, {check.group}.control, did not pass."
        result = Result(check, verdicts.skipped(text), 0.0, self._options.reproduce(check.id))
        self._results[check.id] = result
        self._progress.ended(result)

    def _stop(self, error: str) -> None:
        with self._changed:
            self.error = self.error or error
            self._changed.notify_all()


def _priority(check: Check) -> tuple[bool, int]:
    group = _LONGEST.index(check.group) if check.group in _LONGEST else len(_LONGEST)
    return not check.is_control, group


def _judge(check: Check, lab: Lab) -> Verdict:
    """Run a check; an error of the check itself proves nothing about the handler."""
    try:
        return check.run(lab)
    except ApiError as error:
        if not _answers(lab):
            raise
        return verdicts.inconclusive(f"The sandbox refused a call of the check: {error}")
    except Exception as error:
        lines = traceback.format_exc(limit=-4).splitlines()
        return verdicts.inconclusive(
            f"The check itself failed: {type(error).__name__}.", Exhibit("Traceback", tuple(lines))
        )


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
    return replace(verdicts.failed(text, exhibit), evidence=(exhibit, *verdict.evidence))
