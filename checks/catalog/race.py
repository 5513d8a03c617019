"""Races, made deterministic: the API's responses are held until both runs have read the same.

A run is what the handler does because of one request. The first run is held at the response of a
read; the second one starts, and is held there, too. Then both have read the same pending order. A
handler that does one thing at a time never brings the second read: then the barrier opens after a
time derived from its own pace, and the second run must come after the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from checks import experiments, good_run, recovery, task_experiments, verdicts
from checks.experiments import CONTROL_TEXTS, control
from checks.good_run import GoodRun, Step
from checks.handler_requests import Reply
from checks.history import Effects, History
from checks.lab import Lab
from checks.model import Check, Level
from checks.outcomes import Outcome, Verdict
from checks.platform import ArmedFault

# How often the barrier waits on while the second run makes other calls.
_LOOKS = 5
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Race:
    """What came of two runs: replies, whether both were held at the read, and the history.

    `met` is whether both runs had read before either went on; `split` is the number of calls that
    had been made when the barrier opened.
    """

    order: str
    replies: tuple[Reply, Reply]
    has_begun: bool
    met: bool
    split: int
    happened: History
    effects: Effects


# Lets two held runs go on; takes the hold at the read, and the moment before the runs.
GoOn = Callable[[Lab, ArmedFault, str], None]
Prepare = Callable[[ExitStack], GoOn]
# Makes and judges two runs; takes the seconds for the second one, and a sentence without its end.
MakeRuns = Callable[[Lab, Step, float, Prepare, str], Verdict]


def _of_requests(lab: Lab, read: Step, barrier: float, prepare: Prepare, how: str) -> Verdict:
    """Let two requests lead to two runs, and judge them."""
    return _judge(lab, _race(lab, read, barrier, prepare), read, how)


def _of_tasks(lab: Lab, write: Step, barrier: float, prepare: Prepare, how: str) -> Verdict:
    """Let a task that is sent twice lead to two runs, which are held before a write; judge them.

    Not at a read: the runner reads the order for the second run when the first one has begun.
    """
    mark = lab.mark()
    with ExitStack() as stack:
        go_on = prepare(stack)
        hold = stack.enter_context(lab.platform.fault("hold_call", nth=[1, 2], **write.scope))
        duplicate = stack.enter_context(lab.platform.fault("duplicate_task", times=1))
        lab.activate()
        order = lab.order()
        has_begun = hold.wait_held(1, lab.timing.deadline) >= 1
        if has_begun and _wait_for_both(lab, hold, mark, barrier):
            go_on(lab, hold, mark)
        is_twice = duplicate.fired
    recovery.recover(lab, [order])
    if not has_begun or not is_twice:
        return verdicts.void(f"the extension did not call {write.text}.")
    return recovery.judge(lab, [order], mark, f"when {how[0].lower()}{how[1:]}")


def _race(lab: Lab, read: Step, barrier: float, prepare: Prepare) -> Race:
    """Make two runs that are held at the same read, and let them go on."""
    order = lab.order()
    before, mark = lab.values(order), lab.mark()
    with ExitStack() as stack:
        go_on = prepare(stack)
        nth = [read.occurrence, 2 * read.occurrence]
        hold = stack.enter_context(lab.platform.fault("hold", nth=nth, **read.scope))
        first = lab.begin(timeout=lab.timing.deadline + 10 * barrier)
        has_begun = hold.wait_held(1, lab.timing.deadline) >= 1
        split = len(lab.platform.calls(mark))
        second = lab.begin(timeout=lab.timing.deadline + 10 * barrier)
        met = has_begun and _wait_for_both(lab, hold, mark, barrier)
        if met:
            go_on(lab, hold, mark)
    replies = first.result(), second.result()
    happened = lab.after_work(mark, replies, [order])
    return Race(
        order, replies, has_begun, met, split, happened, lab.effects(order, happened, before)
    )


def _wait_for_both(lab: Lab, hold: ArmedFault, mark: str, barrier: float) -> bool:
    """Return whether both runs are held; False once the second one brings no call in time."""
    calls = len(lab.platform.calls(mark))
    for _ in range(_LOOKS):
        if hold.wait_held(2, barrier) >= 2:
            return True
        made = len(lab.platform.calls(mark))
        if made == calls:
            return False
        calls = made
    return False


def _both_at_once(lab: Lab, hold: ArmedFault, mark: str) -> None:
    """Let both runs go on together."""
    hold.release()


def _judge(lab: Lab, race: Race, read: Step, how: str) -> Verdict:
    """Judge one race; inconclusive without positive evidence."""
    evidence = (
        verdicts.replies_exhibit(race.replies),
        verdicts.effects_exhibit(race.effects, race.order),
        race.happened.exhibit("API calls of both runs"),
    )
    if not race.has_begun:
        return verdicts.void(f"the handler did not call {read.text}.", *evidence)
    if wrong := verdicts.once(race.effects, race.order, *evidence):
        return replace(wrong, text=f"{how}: {wrong.text}")
    if race.effects.status != "approved":
        return verdicts.failed(f"{how}: {race.order} is {race.effects.status}.", *evidence)
    if race.met:
        return verdicts.passed(f"{how}: {race.order} was approved once.")
    if _is_serialized(race):
        return verdicts.passed("The second run began after the first one had ended.")
    if lab.timing.interval:
        return verdicts.skipped(
            "The handler works by a timer of its own, so two requests lead to no two runs."
        )
    return verdicts.inconclusive(
        f"The second request ({race.replies[1].text}) led to no read after the first run, so "
        "nothing shows that the handler would have met the race.",
        *evidence,
    )


def _is_serialized(race: Race) -> bool:
    """Return whether the second request was accepted, and its reads followed the first's writes."""
    if not race.replies[1].is_success:
        return False
    calls = race.happened.calls
    writes = [place for place, call in enumerate(calls) if not call.is_read]
    return bool(writes) and any(call.is_read for call in calls[writes[-1] + 1 :])


def same_request(lab: Lab, make: MakeRuns = _of_requests) -> Verdict:
    """Let two runs go on together that have read the same, for each read of a good run."""

    def run(held: Step, barrier: float) -> Verdict:
        how = f"Two runs had {held.text} at the same time"
        return make(lab, held, barrier, lambda stack: _both_at_once, how)

    return _sweep(lab, lambda good: [partial(run, held) for held in _held(good, make)], make)


def stale_read(lab: Lab, make: MakeRuns = _of_requests) -> Verdict:
    """Let the second run go on when the first one has written, for each pair of a good run."""

    def run(held: Step, write: Step, barrier: float) -> Verdict:
        def prepare(stack: ExitStack) -> GoOn:
            at_write = lab.platform.arm("hold", nth=[write.occurrence], **write.scope)
            stack.callback(at_write.clear)

            def go_on(lab: Lab, hold: ArmedFault, mark: str) -> None:
                hold.release(1)
                at_write.wait_held(1, lab.timing.deadline)
                hold.release()
                # Not until the second run has ended: it may wait for the first one.
                lab.wait_until_quiet(mark)

            return go_on

        how = f"The second run had {held.text} before the first one's {write.text}"
        return make(lab, held, barrier, prepare, how)

    def races(good: GoodRun) -> list[Callable[[float], Verdict]]:
        return [
            partial(run, held, write)
            for held in _held(good, make)
            for write in ([] if held.is_read else [held]) + [*good.writes_after(held)]
        ]

    return _sweep(lab, races, make)


def _held(good: GoodRun, make: MakeRuns) -> Sequence[Step]:
    """Return the calls at which two runs meet: each read, or the first write of tasks."""
    if make is not _of_tasks:
        return good.reads
    return [step for step in good.steps if not step.is_read][:1]


def _sweep(
    lab: Lab, races_of: Callable[[GoodRun], Sequence[Callable[[float], Verdict]]], make: MakeRuns
) -> Verdict:
    """Make all races of a good run; an inconclusive one is repeated with double the time."""
    good = good_run.record(lab, by_platform=make is _of_tasks)
    races = races_of(good)
    if not races:
        return verdicts.inconclusive("The handler reads nothing before it writes.", good.exhibit())

    def judge(race: Callable[[float], Verdict]) -> Verdict:
        for attempt in range(_TRIES):
            lab.start_over()
            verdict = race(lab.timing.barrier * 2**attempt)
            if verdict.outcome is not Outcome.INCONCLUSIVE:
                break
        return verdict

    return experiments.sweep(lab, races, judge, "races")


_EXPECTS = "The order is approved once, and no parameter gets a second value."
_FIX = (
    "Process the queue once at a time: a lock around reading and writing, also across processes, "
    "for instance in your database. Or claim each request there before you work on it."
)

CHECKS = (
    Check(
        "race.control",
        Level.MUST,
        "A genuine request by Connect is processed",
        *CONTROL_TEXTS,
        control,
        is_control=True,
        extension=task_experiments.control,
    ),
    Check(
        "race.same_request",
        Level.MUST,
        "Two runs at the same time process an order once",
        "Two genuine requests about one order. The API's responses are held until both runs have "
        "read it as pending, and then released together; once for each read of a good run.",
        _EXPECTS,
        "Connect calls again while the handler still works: each approval is a queue change, too. "
        "Two runs that read the same pending order provision it twice.",
        _FIX,
        same_request,
        extension=partial(same_request, make=_of_tasks),
    ),
    Check(
        "race.stale_read",
        Level.MUST,
        "A run that has read too early does no harm",
        "Two genuine requests about one order. Both runs have read it as pending; the second one "
        "goes on when the first one has written, once for each pair of a read and a write of a "
        "good run.",
        _EXPECTS,
        "A list that was read a moment ago is out of date as soon as another run has written.",
        f"{_FIX} A status that is read again before the write narrows the gap, but does not close "
        "it.",
        stale_read,
        extension=partial(stale_read, make=_of_tasks),
    ),
)
