"""The other party's turn: at an API call of the handler, somebody else does one legal thing.

The handler works on one order. A call of the API is held, before it is served or before its
response is sent; meanwhile somebody else acts, and the call goes on. What may be done when is
decided by the API: a refused act is no finding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from checks import good_run, recovery, task_experiments, verdicts
from checks.catalog import client
from checks.client import ApiError
from checks.experiments import CONTROL_TEXTS, control
from checks.good_run import GoodRun, Step
from checks.history import History
from checks.lab import Lab
from checks.model import Check, Level
from checks.outcomes import Outcome, Verdict
from checks.platform import FINISHED, REQUESTS, SHORT_PATIENCE

GROUP = "turn"
_APPROVED, _FAILED = ("approved",), ("failed",)
# How the API refuses an act.
_REFUSED = range(400, 500)
# Seconds in which the platform calls the handler because of the act, while the held call waits.
_CALLED = 0.5
_GOOD_RUN = "a good run"


@dataclass(frozen=True, slots=True)
class Moment:
    """When somebody else acts: before a call is served, or when its work is done."""

    step: Step
    is_before: bool = False

    @property
    def name(self) -> str:
        """The moment as `--pair` names it."""
        return f"{self.step.place + 1}:{'before' if self.is_before else 'after'}"

    @property
    def text(self) -> str:
        """The moment for a sentence."""
        call = f"call {self.step.place + 1} ({self.step.text})"
        return f"before {call} is served" if self.is_before else f"before the response to {call}"


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody else does; `text` as in "when the distributor …".

    `do` gets the order that the handler works on, and what `prepare` has made, which returns None
    where the product doesn't have it. It returns the statuses in which orders must end that don't
    have to become approved, or are new. With `is_pending` it is possible until the order is
    approved, else from then on (False) or at any time (None). `after` ends it.
    """

    text: str
    do: Callable[[Lab, str, str], Mapping[str, Sequence[str]]]
    prepare: Callable[[Lab], str | None] = lambda lab: ""
    is_pending: bool | None = None
    # There is something more to do for the handler, of which its run may have read too early.
    adds_work: bool = False
    # Whether it is nothing that only webhooks have.
    is_about_orders: bool = True
    after: Callable[[Lab], None] = lambda lab: None


def moments(good: GoodRun, act: Act) -> list[Moment]:
    """Return the moments of a good run at which an act is possible, where most is found first.

    That is before the approval, when the handler has decided on it, and before other writes; for an
    act that adds work, after the last write. Before a call is the same as after the one before it,
    unless these overlap.
    """
    calls, ends = good.happened.calls, 0.0
    found: list[Moment] = []
    for step, call in zip(good.steps, calls, strict=True):
        if call.began < ends or step.place == 0:
            found.append(Moment(step, is_before=True))
        found.append(Moment(step))
        ends = max(ends, call.began + call.seconds)
    writes = [step.place for step in good.steps if not step.is_read]
    last = max(writes, default=0)
    approval = next((at for at, call in enumerate(calls) if call.action == "approve"), last)
    first = last + 1 if act.adds_work else approval

    def comes_next(moment: Moment) -> int:
        return moment.step.place + (not moment.is_before)

    def rank(moment: Moment) -> int:
        return 0 if comes_next(moment) == first else 1 if comes_next(moment) in writes else 2

    possible = [m for m in found if act.is_pending in (None, comes_next(m) <= approval)]
    return sorted(possible, key=rank)


def _good_run(lab: Lab) -> GoodRun:
    """Return a good run, which all checks of a lane share; raises NoGoodRun."""
    found = lab.shared.get(_GOOD_RUN)
    if not isinstance(found, GoodRun):
        lab.shared[_GOOD_RUN] = found = good_run.record(lab, by_platform=True)
    return found


def share(lab: Lab) -> float:
    """Return the seconds that a check has for its moments: all that are chosen share --budget."""
    options = lab.options
    chosen = [
        check
        for check in CHECKS
        if not check.is_control
        and (not options.selected or check.matches(options.selected))
        and not check.matches(options.ignored)
    ]
    return float("inf") if lab.is_deep else options.budget / max(1, len(chosen))


def _sweep(lab: Lab, act: Act) -> Verdict:
    """Let somebody act at one moment after another, until one run fails or the time is over."""
    began, seconds = time.monotonic(), share(lab)
    # Beside what a single moment may take.
    lab.budget.begin(seconds + lab.timing.check)
    good = _good_run(lab)
    possible = moments(good, act)
    if pair := lab.options.pair:
        names = [m.name for m in sorted(possible, key=lambda moment: moment.step.place)]
        possible = [moment for moment in possible if moment.name == pair]
        if not possible:
            return verdicts.skipped(
                f"A good run has no such moment as {pair}. It has {', '.join(names)}."
            )
    tried = unreached = 0
    for moment in possible:
        used = time.monotonic() - began
        if tried and used + used / (tried + unreached) > seconds:
            break
        verdict = _run(lab, act, moment, good)
        if verdict is None:
            unreached += 1
            continue
        tried += 1
        if verdict.outcome is not Outcome.PASS:
            return verdict
    if not tried:
        return verdicts.skipped(f"{act.text} was possible at none of {len(possible)} moments.")
    left = f", {unreached} not possible" if unreached else ""
    return verdicts.passed(
        f"{act.text} at one moment after another, and no order was processed twice or left. "
        f"{tried} of {len(possible)} moments tried in {time.monotonic() - began:.0f} s{left}."
    )


def _run(lab: Lab, act: Act, moment: Moment, good: GoodRun) -> Verdict | None:
    """Let somebody act at a moment; return None if that wasn't possible."""
    lab.start_over()
    if (prepared := act.prepare(lab)) is None:
        return None
    lab.order(lab.other.product_id)
    mark = lab.mark()
    lab.activate()
    kind, step = "hold_call" if moment.is_before else "hold", moment.step
    with lab.platform.fault(kind, nth=[step.occurrence], **step.scope) as hold:
        order = lab.order()
        if not hold.wait_held(1, lab.timing.patience):
            return None
        at = lab.mark()
        try:
            expected: Mapping[str, Sequence[str]] = {
                order: _APPROVED,
                **act.do(lab, order, prepared),
            }
        except ApiError as error:
            if error.status not in _REFUSED:
                raise
            return None
        if lab.since(mark).attempts:
            # It has responded, so the platform calls it again while it works.
            lab.wait_entry(at, "attempt_finished", _CALLED)
    # One that repeats what is refused is never quiet.
    lab.platform.settle(lab.timing.quiet, SHORT_PATIENCE)
    happened = lab.since(mark)
    if (count := client.busiest(happened, _REFUSED)) > client.MOST_CALLS:
        wrong = f"{count} calls within {client.WINDOW:g} s were refused"
    else:
        act.after(lab)
        expected = lab.expected(expected)
        recovery.recover(lab, list(expected))
        wrong, happened = _wrong(lab, expected, mark)
    if not wrong:
        return verdicts.passed("")
    effects = lab.effects(order, happened, {})
    verdict = verdicts.failed(
        f"{act.text} {moment.text}: {wrong}.",
        verdicts.effects_exhibit(effects, order),
        happened.exhibit(),
        happened.attempts_exhibit(),
        good.exhibit(),
    )
    return replace(verdict, repeated_by=("--pair", moment.name))


def _wrong(lab: Lab, expected: Mapping[str, Sequence[str]], mark: str) -> tuple[str, History]:
    """Return what is wrong with the orders or the one that follows, and what has happened."""
    happened = lab.since(mark)
    if wrong := _unfinished(lab, expected, happened):
        return wrong, happened
    following = lab.order()
    recovery.recover(lab, [following])
    happened = lab.since(mark)
    if (status := lab.status(following)) != "approved":
        return f"the order that follows, {following}, is {status}", happened
    foreign = [c for c in happened.writes if c.action and not {*expected, following} & {*c.objects}]
    if foreign:
        return f"the handler called {foreign[0].method} {foreign[0].path}", happened
    if failure := happened.last_failure:
        return f"the platform's last attempt ended with {failure}", happened
    return "", happened


def _unfinished(lab: Lab, expected: Mapping[str, Sequence[str]], happened: History) -> str:
    """Return what is wrong with the orders."""
    for order, statuses in expected.items():
        effects = lab.effects(order, happened, {})
        if effects.status not in statuses:
            return f"{order} is {effects.status} (expected {' or '.join(statuses)})"
        if effects.successful_approvals > 1:
            return f"{order} was approved {effects.successful_approvals} times"
        if effects.overwritten:
            return f"a second value was sent for {', '.join(effects.overwritten)} of {order}"
    return ""


# What somebody does.


def _inquired(lab: Lab) -> str | None:
    order = lab.order()
    return order if lab.platform.inquire(order) else None


def _answer(lab: Lab, order: str, inquired: str) -> Mapping[str, Sequence[str]]:
    lab.platform.answer(inquired)
    return {inquired: _APPROVED}


def _cancel(lab: Lab, order: str, prepared: str) -> Mapping[str, Sequence[str]]:
    subscription = lab.platform.request(order)["asset"]["id"]
    return {lab.platform.change_order("cancel", subscription): FINISHED}


def _change(lab: Lab, order: str, prepared: str) -> Mapping[str, Sequence[str]]:
    asset = lab.platform.request(order)["asset"]
    items = [
        {"id": row["global_id"], "quantity": int(row["quantity"]) + 1}
        for row in asset["items"]
        if row["item_type"] == "Reservation"
    ]
    return {lab.platform.change_order("change", asset["id"], items=items): FINISHED}


def _fail(lab: Lab, order: str, prepared: str) -> Mapping[str, Sequence[str]]:
    lab.platform.fail(order)
    return {order: _FAILED}


def _order_again(lab: Lab, order: str, prepared: str) -> Mapping[str, Sequence[str]]:
    body = lab.platform.catalog(lab.product).purchase(lab.platform.random)
    body["asset"]["external_id"] = lab.platform.request(order)["asset"]["external_id"]
    return {str(lab.platform.provider.call("POST", REQUESTS, body)["id"]): FINISHED}


def _change_customer(lab: Lab, order: str, prepared: str) -> Mapping[str, Sequence[str]]:
    customer = lab.platform.request(order)["asset"]["tiers"]["customer"]["id"]
    path = f"/public/v1/tier/accounts/{customer}"
    lab.platform.provider.call("PUT", path, {"name": f"Harbour Hotel {lab.word()}"})
    return {order: FINISHED}


def _disable_webhook(lab: Lab, order: str, prepared: str) -> Mapping[str, Sequence[str]]:
    lab.deactivate()
    return {}


def _enable_webhook(lab: Lab) -> None:
    lab.activate()
    lab.platform.trigger(lab.webhook)


def _check(
    name: str, level: Level, title: str, act: Act, does: str, expects: str, why: str, fix: str
) -> Check:
    def run(lab: Lab) -> Verdict:
        return _sweep(lab, act)

    sends = (
        f"One order. {does} while the handler works on it: at one API call after another, before "
        "it is served or when its work is done and its response isn't sent."
    )
    expected = (
        f"{expects} No order is approved twice, no parameter gets a second value, orders of other "
        f"products stay as they are, at most {client.MOST_CALLS} calls within {client.WINDOW:g} s "
        "are refused, and one more order is processed."
    )
    return Check(
        f"{GROUP}.{name}",
        level,
        title,
        sends,
        expected,
        why,
        fix,
        run,
        extension=run if act.is_about_orders else None,
    )


_READ_AGAIN = (
    "Note each request of Connect while you work, and read what is pending once more when the run "
    "has ended: two requests during one run may share the next one, but none may be dropped."
)

CHECKS = (
    Check(
        f"{GROUP}.control",
        Level.MUST,
        "A genuine request by Connect is processed",
        *CONTROL_TEXTS,
        control,
        is_control=True,
        extension=task_experiments.control,
    ),
    _check(
        "answer",
        Level.MUST,
        "An inquiry that is answered meanwhile is seen",
        Act("The customer answered another inquiry", _answer, _inquired, adds_work=True),
        "The customer answers the inquiry of another order",
        "Both orders become approved.",
        "Customers answer when they like. An order that becomes pending right after the list was "
        "read waits for the next run, which has to come.",
        _READ_AGAIN,
    ),
    _check(
        "cancel",
        Level.SHOULD,
        "A subscription that is canceled at once is processed",
        Act("The distributor canceled the subscription", _cancel, is_pending=False, adds_work=True),
        "The distributor cancels the subscription as soon as the API lets it",
        "The order becomes approved; the one to cancel becomes approved, failed or inquired.",
        "An order to cancel may come before your handler knows that its approval has succeeded. "
        "One that stays pending blocks the subscription.",
        f"Decide by what the API has, not by what your last call was. {_READ_AGAIN}",
    ),
    _check(
        "change",
        Level.SHOULD,
        "A subscription that is changed at once is processed",
        Act("The distributor changed the subscription", _change, is_pending=False, adds_work=True),
        "The distributor orders more items for the subscription as soon as the API lets it",
        "The order becomes approved; the one to change becomes approved, failed or inquired.",
        "A customer who has ordered too few orders more within the minute. An order that stays "
        "pending blocks the subscription.",
        f"Keep what you know by the order's id, not by the subscription's. {_READ_AGAIN}",
    ),
    _check(
        "fail",
        Level.MUST,
        "An order that somebody fails meanwhile does no harm",
        Act("Somebody failed the order", _fail, is_pending=True),
        "Somebody else fails it",
        "The order stays failed, whatever the handler has tried.",
        "People and other systems work on the same queue, and the API refuses what comes too "
        "late, each time it is tried.",
        "Take a refusal (4xx) as a reason to read the order again: if it isn't pending any more, "
        "there is nothing to do for it, and the run goes on.",
    ),
    _check(
        "order_again",
        Level.SHOULD,
        "A second order with the same external id is processed",
        Act(
            "The distributor ordered again with the same external id", _order_again, adds_work=True
        ),
        "The distributor orders again with the same `external_id` of the subscription",
        "The first order becomes approved, and the second one approved, failed or inquired.",
        "An `external_id` is the distributor's: Connect doesn't demand that it is unique. A "
        "handler that takes the second order for the first one leaves it pending for ever.",
        "Know orders and subscriptions by Connect's own ids. Where you refuse a duplicate, fail it "
        f"with a reason. {_READ_AGAIN}",
    ),
    _check(
        "tier_account",
        Level.MUST,
        "A customer who is renamed meanwhile does no harm",
        Act("The distributor renamed the customer", _change_customer),
        "The distributor changes the name of its customer",
        "The order becomes approved, failed or inquired.",
        "Accounts change while orders wait. An order that is left because two reads of the "
        "customer differ stays pending for ever.",
        "Work with what the order has when you read it, or begin with it once more.",
    ),
    _check(
        "webhook_off",
        Level.MUST,
        "A webhook that is turned off meanwhile loses no order",
        Act(
            "The vendor turned the webhook off",
            _disable_webhook,
            is_about_orders=False,
            after=_enable_webhook,
        ),
        "The vendor turns the webhook off, and on again when the handler is quiet; then it is "
        "triggered,",
        "The order becomes approved, before or after that.",
        "A webhook is turned off for maintenance in the middle of the work. What was begun must be "
        "ended, or begun again afterwards.",
        "Let a run end that has begun, and process everything that is pending at each request.",
    ),
)
