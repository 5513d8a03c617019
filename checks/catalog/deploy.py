"""Checks of deployments: ends by SIGTERM, a second version, starts at a bad moment."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from urllib.parse import urlsplit

from checks import good_run, recovery, setup, verdicts
from checks.catalog import crash
from checks.client import accepts_connections
from checks.experiments import CONTROL_TEXTS, control
from checks.good_run import GoodRun, NoGoodRun, Step
from checks.handler_process import HandlerError, HandlerProcess
from checks.lab import Lab
from checks.model import Check, Level, Need
from checks.outcomes import Outcome, Verdict
from checks.platform import SHORT_PATIENCE

# Runs of the check of SIGTERM, each with a start of the handler.
_MOST_RUNS = 3
# Seconds after SIGTERM in which the held call waits, and in which the platform is away at a start.
_HELD, _AWAY = 0.2, 1.5
_ORDERS, _BURST = 3, 20
_MINUTE = 60  # seconds of platform time
_POLL = 0.02


def _process(lab: Lab) -> HandlerProcess:
    assert lab.process is not None
    return lab.process


def sigterm(lab: Lab) -> Verdict:
    """End the handler by SIGTERM after one write after another, and start it again."""
    return crash.sweep(lab, _terminated, "SIGTERM", _writes)


def _writes(good: GoodRun) -> Sequence[Step]:
    return [step for step in good.steps if not step.is_read][:_MOST_RUNS]


def _terminated(lab: Lab, step: Step) -> tuple[int, str]:
    with lab.platform.fault("hold", nth=[step.occurrence], **step.scope) as fault:
        order = lab.order()
        if fault.wait_held(1, lab.timing.deadline):
            with _stopping(lab):
                # A handler that ends what it has begun needs the response.
                fault.release()
            _process(lab).restart()
        lab.platform.settle(lab.timing.quiet)
        return fault.fired, order


@contextmanager
def _stopping(lab: Lab) -> Iterator[Future[bool]]:
    """Send SIGTERM before a block, and wait after it until the handler has ended.

    Yield whether it has ended in time.
    """
    with ThreadPoolExecutor(1) as pool:
        ended: Future[bool] = pool.submit(_process(lab).stop, lab.options.grace)
        wait([ended], _HELD)
        yield ended
        ended.result()


def grace(lab: Lab) -> Verdict:
    """End the handler by SIGTERM while it works, and see how long that takes."""
    step = _last_read(lab)
    lab.start_over()
    lab.activate()
    with lab.platform.fault("hold", nth=[step.occurrence], **step.scope) as fault:
        order = lab.order()
        if not fault.wait_held(1, lab.timing.deadline):
            return verdicts.void(f"the handler did not call {step.text} because of {order}.")
        began = time.monotonic()
        with _stopping(lab) as ended:
            fault.release()
    took, seconds = time.monotonic() - began, lab.options.grace
    lab.start_over()
    if ended.result():
        return verdicts.passed(f"Ended {took:.1f} s after SIGTERM, in the middle of its work.")
    return verdicts.failed(f"Still ran {seconds:g} s after SIGTERM, and had to be killed.")


def _last_read(lab: Lab) -> Step:
    """Return the last read before the first write of a good run; raises NoGoodRun."""
    good = good_run.record(lab, by_platform=True)
    writes = [step.place for step in good.steps if not step.is_read]
    reads = [step for step in good.reads if step.place < writes[0]]
    if not reads:
        raise NoGoodRun("The handler reads nothing before it writes.")
    return reads[-1]


def beside(lab: Lab) -> Verdict:
    """Let the next version process an order that the present one has read."""
    step = _last_read(lab)
    lab.start_over()
    mark = lab.mark()
    lab.activate()
    try:
        with _process(lab).beside(lab.options.run_next) as following:
            with lab.platform.fault("hold", nth=[step.occurrence], **step.scope) as hold:
                order = lab.order()
                has_read = hold.wait_held(1, lab.timing.deadline)
                url = f"{following.url.rstrip('/')}{urlsplit(lab.handler.url).path}"
                lab.activate(external_url=url)
                lab.platform.trigger(lab.webhook)
                # It may wait for the present one.
                lab.wait_finished([order], lab.timing.barrier)
            lab.platform.settle(lab.timing.quiet)
            _process(lab).stop(lab.options.grace)
            if not has_read:
                return verdicts.void(f"the handler did not call {step.text} because of {order}.")
            return _processed(lab, [order], mark, "while two versions ran beside each other")
    except HandlerError as error:
        return verdicts.failed(f"The next version cannot run beside the present one: {error}")
    finally:
        lab.start_over()


def old_secret(lab: Lab) -> Verdict:
    """Give the webhook another secret while the handler still has the old one."""
    secret, old = setup.new_secret(), lab.signer.secret
    lab.platform.update_webhook(lab.webhook, jwt_secret=secret)
    try:
        mark = lab.mark()
        lab.activate()
        order = lab.order()
        lab.platform.settle(lab.timing.quiet)
        _process(lab).restart(jwt_secret=secret)
        return _processed(lab, [order], mark, "after the instance with the old secret was gone")
    finally:
        try:
            lab.start_over()
        finally:
            _process(lab).restart(jwt_secret=old)


def cold_start(lab: Lab) -> Verdict:
    """Send a burst as soon as a handler that starts accepts connections."""
    process = _process(lab)
    process.stop()
    mark = lab.mark()
    lab.activate()
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(process.restart)
        while not (wait([started], _POLL).done or accepts_connections(process.url)):
            pass
        orders = lab.orders(_ORDERS)
        replies = lab.send_together([lab.genuine()] * _BURST)
        started.result()
    verdict = _processed(lab, orders, mark, f"after {_BURST} requests right at the start")
    if verdict.outcome is Outcome.PASS:
        return verdict
    return replace(verdict, evidence=(*verdict.evidence, verdicts.replies_exhibit(replies)))


def platform_late(lab: Lab) -> Verdict:
    """Start the handler while the API resets all connections."""
    process = _process(lab)
    process.stop()
    mark = lab.mark()
    with ThreadPoolExecutor(1) as pool:
        with lab.platform.fault("reset_peer", side="api"):
            started = pool.submit(process.restart)
            # It may wait for the API before it listens.
            with suppress(TimeoutError, HandlerError):
                started.result(_AWAY)
            lab.wait_for(lambda: not process.is_alive, _AWAY)
        if started.exception() or not process.is_alive:
            # As what runs it would do: it may end if something is missing.
            process.restart()
    lab.activate()
    order = lab.order()
    return _processed(lab, [order], mark, "although the API didn't answer when the handler started")


def platform_away(lab: Lab) -> Verdict:
    """Let the API be away for a minute from the first write on."""
    step = _last_read(lab)
    lab.start_over()
    mark = lab.mark()
    lab.activate()
    outage = {"for": _MINUTE, "status": 503}
    with lab.platform.fault("outage", outage, side="api", after=step.place + 1) as fault:
        order = lab.order()
        lab.wait_fired(mark, order, fault)
        lab.platform.settle(lab.timing.quiet, SHORT_PATIENCE)
        lab.platform.advance(f"{_MINUTE + 1}s", lab.timing.quiet, SHORT_PATIENCE)
        fired = fault.fired
    if not fired:
        return verdicts.void(f"the handler called nothing after {step.text}.")
    return _processed(lab, [order], mark, "although the API was away for a minute")


def _processed(lab: Lab, orders: Sequence[str], mark: str, when: str) -> Verdict:
    """Let orders be processed, and then one more, and judge all."""
    recovery.recover(lab, orders)
    verdict = _judge(lab, orders, mark, when)
    if verdict.outcome is not Outcome.PASS:
        return verdict
    # Not before: the request about it would let the others be processed, too.
    following = lab.order()
    recovery.recover(lab, [following])
    return _judge(lab, [*orders, following], mark, when)


def _judge(lab: Lab, orders: Sequence[str], mark: str, when: str) -> Verdict:
    """Judge that each order was approved once, and that the platform's last attempt succeeded."""
    happened = lab.since(mark)
    for order in orders:
        effects = lab.effects(order, happened, {})
        evidence = (
            verdicts.effects_exhibit(effects, order),
            happened.attempts_exhibit(),
            happened.exhibit(),
        )
        if effects.status != "approved":
            return verdicts.failed(
                f"{order} is {effects.status} {when} (expected approved).", *evidence
            )
        if wrong := verdicts.once(effects, order, *evidence):
            return replace(wrong, text=f"{wrong.text[:-1]} {when}.")
    if failure := happened.last_failure:
        return verdicts.failed(
            f"The platform's last attempt ended with {failure} {when}.",
            happened.attempts_exhibit(),
            happened.exhibit(),
        )
    return verdicts.passed(f"{verdicts.ids(orders)} were approved once each {when}.")


_NEEDS = frozenset({Need.EVENT, Need.PROCESS})
_ONCE = (
    "Each order becomes approved once, and so does the next one; no parameter gets a second value, "
    "and the platform's last attempt ends in 2xx."
)

CHECKS = (
    Check(
        "deploy.control",
        Level.MUST,
        "A genuine request by Connect is processed",
        *CONTROL_TEXTS,
        control,
        is_control=True,
        needs=_NEEDS,
    ),
    Check(
        "deploy.sigterm",
        Level.MUST,
        "An end by SIGTERM loses no order",
        f"One order. When one of its writes is done (at most {_MOST_RUNS}, one after another), "
        "the handler gets SIGTERM before the response; then it is started again.",
        "The order ends as in a run without SIGTERM: finished before the end, or repeated without "
        "harm. The order that follows is processed.",
        "Each deployment ends the old version like this, in the middle of what it does.",
        "Take no new work after SIGTERM, end what was begun, and respond 500 to what you could "
        "not do, so that Connect calls again. Look for what is pending at each start.",
        sigterm,
        needs=_NEEDS,
    ),
    Check(
        "deploy.grace",
        Level.SHOULD,
        "The handler ends after SIGTERM in time",
        "SIGTERM while the handler works on an order, whose API call is answered right after it.",
        "All of the handler's processes have ended within `--grace` (10 s by default).",
        "What runs the handler kills it after such a time, whatever it does at that moment, and a "
        "deployment takes that much longer.",
        "Handle SIGTERM: stop to accept connections, end the current run, and exit. As the first "
        "process of a container, a program without a handler for it ignores SIGTERM.",
        grace,
        needs=_NEEDS,
    ),
    Check(
        "deploy.beside",
        Level.SHOULD,
        "Two versions beside each other process an order once",
        "The next version (`--run-next`, by default the same command) is started beside the "
        "present one, which has read a pending order. The next one is called about it, and then "
        "the present one goes on and is ended by SIGTERM.",
        _ONCE,
        "A deployment without downtime starts the new version before it ends the old one. A lock "
        "in the memory of one process says nothing to the other.",
        "Let both use one lock, for instance in your database, or make what you create for an "
        "order the same in each run, for example by its id.",
        beside,
        needs=_NEEDS,
    ),
    Check(
        "deploy.old_secret",
        Level.MUST,
        "An instance with the old secret loses no order",
        "The webhook gets a new secret, and an order, while the handler still has the old secret; "
        "then it is started again with the new one.",
        _ONCE,
        "Between the change of a secret and the last restart, genuine requests can't be verified. "
        "A response of success would end them.",
        "Respond 401 to everything that you can't verify: Connect calls again.",
        old_secret,
        needs=_NEEDS,
    ),
    Check(
        "deploy.cold_start",
        Level.MUST,
        "A burst right at the start loses no order",
        f"{_ORDERS} orders and {_BURST} genuine requests at once, as soon as the handler that "
        "starts accepts connections.",
        _ONCE,
        "What has waited for a new version arrives in its first second.",
        "Listen only when you can do the work, or respond 503 until then.",
        cold_start,
        needs=_NEEDS,
    ),
    Check(
        "deploy.platform_late",
        Level.MUST,
        "A start before the platform answers is survived",
        "The handler is started while the API resets all connections, and once more if it ends; "
        "then the API works, and an order comes.",
        _ONCE,
        "After an outage everything starts at once, in any order.",
        "Read what you need from the API when you need it, and again if that failed; or end, and "
        "let what runs the handler start it again.",
        platform_late,
        needs=_NEEDS,
    ),
    Check(
        "deploy.platform_away",
        Level.MUST,
        "A minute without the platform loses no order",
        "One order. From the handler's first write on, the API answers 503 for a minute; then it "
        "works.",
        _ONCE,
        "The platform is deployed, too. What has failed meanwhile has to be done afterwards.",
        "Respond 500 when the work could not be done, or repeat it yourself, after pauses that "
        "grow.",
        platform_away,
        needs=_NEEDS,
    ),
)
