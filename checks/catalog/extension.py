"""Checks of what only extensions have: results, countdowns, schedules, installations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from checks import batches, good_run, recovery, task_experiments, verdicts
from checks.extension_lab import ExtensionLab
from checks.lab import Lab
from checks.model import Check, Level, Need
from checks.outcomes import Exhibit, Verdict
from checks.platform import FINISHED, Json

# A countdown is followed for as long, and through as many runs.
_LONGEST, _MOST_RUNS = timedelta(days=2), 30
_FAILED_RUNS = 3
_FAILING = {"status": 503}
_WAITING = ("scheduled", "rescheduled", "processing", "retrying")
# Seconds that the runner gives a task, instead of its 300, or more where one takes longer.
_LIMIT, _LIMIT_VARIABLE = 5.0, "BACKGROUND_TASK_MAX_EXECUTION_TIME"
_READS = 40
# A schedule that only the check triggers.
_NEVER = {"type": "onetime", "date": "2200-01-01T00:00:00+00:00"}


def reschedule(lab: Lab) -> Verdict:
    """Refuse what a task writes for some runs, and follow its countdowns until it has ended."""
    assert isinstance(lab, ExtensionLab)
    mark, began = lab.mark(), _now(lab)
    with (
        lab.platform.fault("abort", _FAILING, side="api", method="POST") as posts,
        lab.platform.fault("abort", _FAILING, side="api", method="PUT") as puts,
    ):
        lab.activate()
        order = lab.order()
        # It may wait before it writes anything.
        _follow(lab, order, began, lambda: bool(posts.fired + puts.fired))
        recovery.make_attempts(lab, _FAILED_RUNS)
        fired = posts.fired + puts.fired
    _follow(lab, order, began, lambda: False)
    [task] = lab.tasks(order)
    happened = lab.since(mark)
    evidence = (happened.attempts_exhibit(), happened.exhibit())
    if not fired:
        return verdicts.void(f"the extension wrote nothing because of {order}.", *evidence)
    status, runs = lab.status(order), len(lab.ends(mark))
    after = f"after {verdicts.plural(runs, 'run')} in {_span(_now(lab) - began)} of platform time"
    if status in FINISHED:
        return recovery.judge(lab, [order], mark, after)
    if task["status"] not in _WAITING:
        return verdicts.failed(
            f"The task ended as {task['status']}, and {order} is still {status}: nobody looks at "
            "it again.",
            *evidence,
        )
    return verdicts.failed(
        f"{order} is still {status} {after}, although the API works again.", *evidence
    )


def _follow(lab: ExtensionLab, order: str, began: datetime, is_enough: Callable[[], bool]) -> None:
    """Move to each countdown of an order's task until it has ended, or that is enough."""
    for _ in range(_MOST_RUNS):
        lab.next_attempts()
        [task] = lab.tasks(order)
        if is_enough() or task["status"] not in _WAITING or _now(lab) - began > _LONGEST:
            return


def skip(lab: Lab) -> Verdict:
    """Let somebody fail an order when the runner has read it, and before the extension has it."""
    assert isinstance(lab, ExtensionLab)
    mark = lab.mark()
    with lab.platform.fault("hold_call", side="api", method="GET", path="/requests/*") as hold:
        lab.activate()
        order = lab.order()
        if not hold.wait_held(1, lab.timing.deadline):
            return verdicts.void("the runner did not read the order.")
        lab.platform.fail(order)
    lab.settle()
    happened = lab.since(mark)
    evidence = (happened.attempts_exhibit(), happened.exhibit())
    [task] = lab.tasks(order)
    writes = [call for call in happened.about(order) if not call.is_read]
    if task["status"] in _WAITING or writes:
        what = f"called {writes[0].method} {writes[0].path}" if writes else "did not end its task"
        return verdicts.failed(
            f"Somebody had failed {order}; the extension {what}, and the task is {task['status']} "
            "(expected skipped).",
            *evidence,
        )
    lab.deactivate()
    following = task_experiments.control(lab)
    if following.outcome != "pass":
        return following
    return verdicts.passed(f"The task of an order that had been failed ended as {task['status']}.")


def timeout(lab: Lab) -> Verdict:
    """Hold the first write until the runner's time for the task is over, and let both runs end."""
    assert isinstance(lab, ExtensionLab) and lab.process is not None
    good = good_run.record(lab, by_platform=True)
    write = next((step for step in good.steps if not step.is_read), None)
    if write is None:
        return verdicts.void("the extension wrote nothing.", good.exhibit())
    limit = max(_LIMIT, 2 * lab.timing.work)
    with lab.process.started_with((_LIMIT_VARIABLE, f"{limit:.0f}")):
        lab.start_over()
        mark = lab.mark()
        lab.activate()
        with lab.platform.fault("hold_call", nth=[write.occurrence], **write.scope):
            order = lab.order()
            # The runner sends a result in place of the extension's.
            is_over = lab.wait_entry(mark, "task", limit + lab.timing.deadline, _is_end)
            # The held call is not waited for.
            lab.next_attempts(lab.timing.patience / 2)
        recovery.recover(lab, [order])
        verdict = recovery.judge(lab, [order], mark, "after a task that took too long")
        happened = lab.since(mark)
    if not is_over:
        return verdicts.void("no task ended.", happened.attempts_exhibit(), happened.exhibit())
    return verdict


def _is_end(entry: Json) -> bool:
    return bool(entry["data"]["action"] == "finished")


def schedule_twice(lab: Lab) -> Verdict:
    """Let the method of a schedule be called once, and then twice for one moment."""
    assert isinstance(lab, ExtensionLab)
    methods = lab.platform.vendor.call("GET", lab.path)["schedulables"]
    if not methods:
        return verdicts.skipped("The extension declares no method for schedules.")
    changed = []
    for each in methods:
        once, _ = _scheduled(lab, each["method"], copies=1)
        if not once:
            continue
        changed.append(each["method"])
        lab.renew()
        twice, exhibits = _scheduled(lab, each["method"], copies=2)
        if more := Counter(twice) - Counter(once):
            call, count = more.most_common(1)[0]
            return verdicts.failed(
                f"{each['method']} made {call} {verdicts.plural(count, 'more time')} when its task "
                "was sent twice.",
                *exhibits,
            )
        lab.renew()
    if not changed:
        return verdicts.skipped("The methods for schedules change nothing by the API.")
    return verdicts.passed(f"Sent twice, {', '.join(changed)} changed no more than once.")


def _scheduled(lab: ExtensionLab, method: str, copies: int) -> tuple[list[str], Sequence[Exhibit]]:
    """Return the calls that changed something when a schedule was triggered, and evidence."""
    vendor, schedules = lab.platform.vendor, f"{lab.path}/schedules"
    body = {"name": "Check", "method": method, "trigger": _NEVER}
    row = vendor.call("POST", schedules, body)
    mark = lab.mark()
    faults = [lab.platform.arm("duplicate_task", times=1)] if copies > 1 else []
    with batches.slow_reads(lab, _READS):
        vendor.call("POST", f"{schedules}/{row['id']}/trigger")
        lab.settle()
    for each in faults:
        each.clear()
    vendor.call("DELETE", f"{schedules}/{row['id']}")
    happened = lab.since(mark)
    # Objects that are created have other ids.
    calls = [f"{call.method} {call.pattern}" for call in happened.writes if call.status < 400]
    return calls, (happened.attempts_exhibit(), happened.exhibit())


def installation(lab: Lab) -> Verdict:
    """See with which key the extension processes an order for an installation."""
    assert isinstance(lab, ExtensionLab)
    if not lab.options.multi_account:
        return verdicts.skipped("Needs --multi-account: other extensions act for one account only.")
    mark = lab.mark()
    verdict = task_experiments.control(lab)
    if verdict.outcome != "pass":
        return verdict
    happened = lab.since(mark)
    own = [call for call in happened.writes if call.key == lab.user]
    if own:
        return verdicts.failed(
            f"Called {own[0].method} {own[0].path} with its own key, not with the installation's.",
            happened.exhibit(),
        )
    return verdicts.passed("All that was changed was changed with the installation's key.")


def _now(lab: Lab) -> datetime:
    return datetime.fromisoformat(lab.platform.vendor.call("GET", "/sandbox/clock")["now"])


def _span(span: timedelta) -> str:
    hours, rest = divmod(int(span.total_seconds()), 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"


def _check(
    name: str,
    level: Level,
    title: str,
    run: Callable[[Lab], Verdict],
    sends: str,
    expects: str,
    why: str,
    fix: str,
    *,
    is_control: bool = False,
) -> Check:
    return Check(
        f"extension.{name}",
        level,
        title,
        sends,
        expects,
        why,
        fix,
        run,
        is_control,
        frozenset({Need.EXTENSION}),
        extension=run,
    )


CHECKS = (
    _check(
        "control",
        Level.MUST,
        "A task is processed",
        task_experiments.control,
        "A new order, whose task the runner gets.",
        "The order becomes approved, if the task is rescheduled after its countdowns.",
        "Without it, the other checks of the group would prove nothing: an extension that does "
        "nothing has no wrong effects.",
        "Subscribe to `asset_purchase_request_processing` with the status `pending`, set the "
        "parameters of the request that the method gets, and approve it. The evidence has the "
        "results of tasks and the API calls.",
        is_control=True,
    ),
    _check(
        "reschedule",
        Level.MUST,
        "A task that must wait ends in the end",
        reschedule,
        f"One order. For {_FAILED_RUNS} runs each call that writes is answered with "
        f"{_FAILING['status']}; then the API works again, and the clock moves to each countdown "
        f"of the task, for at most {_LONGEST.days} days of platform time and {_MOST_RUNS} runs.",
        "The order is approved once. The task doesn't end while the order is pending.",
        "A task that fails, or is skipped, is never sent again: its order stays pending for ever. "
        "One that is rescheduled whatever has happened never ends.",
        "Reschedule while you wait for something (`BackgroundResponse.reschedule`), raise what you "
        "don't expect, so that the runner asks for a retry, and fail or skip only what you have "
        "decided about.",
    ),
    _check(
        "skip",
        Level.SHOULD,
        "The task of a finished order is skipped",
        skip,
        "One order, which somebody else fails when the runner has seen it as pending, right before "
        "the extension gets it.",
        "No call that changes the order, and the task ends in its first run. The next order is "
        "approved.",
        "People and other systems work on the same queue. A refused call becomes an exception, a "
        "retry, and an alarm about nothing.",
        "Return `BackgroundResponse.skip()` if the status of the request that the method gets "
        "isn't the one that it is for.",
    ),
    _check(
        "timeout",
        Level.MUST,
        "A task that took too long does no harm",
        timeout,
        "One order. The first call that writes is held until the time of the runner for a task is "
        f"over ({_LIMIT_VARIABLE}), and the task is sent again; then the call goes on.",
        "The order is approved once, and no parameter gets a second value, also not one that the "
        "API refuses.",
        "After 300 seconds the runner asks for a retry, but a method in a thread runs on: two runs "
        "work on the same order.",
        "Make values from the order's id, so that both runs send the same, keep time limits for "
        "your own calls, and reschedule long work instead of waiting for it.",
    ),
    _check(
        "schedule_twice",
        Level.SHOULD,
        "A scheduled method may be called twice",
        schedule_twice,
        "A schedule for each method that the extension declares, triggered once; and once more, "
        "with its task sent twice, from the same state.",
        "Sent twice, the method makes no more calls that change something than before.",
        "A runner that is lost after its work, and before its result, gets the task again: usage "
        "is reported twice, or a file is uploaded twice.",
        "Look whether the work for this moment has been done, by the API or in your database.",
    ),
    _check(
        "installation",
        Level.MUST,
        "Tasks are processed with the installation's key",
        installation,
        "With --multi-account: an order of the account that has installed the extension.",
        "Each call that changes something has the key of the installation.",
        "The extension's own key acts for the account that has developed it: orders of others are "
        "refused, or a wrong account is charged.",
        "Use `self.installation_client` in place of `self.client`.",
    ),
)
