"""Checks of deliveries: duplicates, bursts, and requests that come late or in another order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from checks import batches, task_experiments, verdicts
from checks.experiments import CONTROL_TEXTS, control
from checks.lab import Lab
from checks.model import Check, Level, Outcome, Verdict
from checks.platform import SHORT_PATIENCE
from checks.tokens import TIMEOUT
from webhooks.delivery.request import format_timestamp

# As many requests at once as the platform sends to a webhook (SIM_MAX_IN_FLIGHT), and many more.
_IN_FLIGHT, _BURST = 10, 50
_BURST_ORDERS = 3
_BURST_SECONDS = 40.0  # for the responses to a burst, or longer if the handler is slow
# Responses to reads that are delayed: all of two runs, or the first ones of a burst.
_READS_OF_TWO, _READS_OF_BURST = 40, 12
# Seconds for a response to the request after a failure: the handler may still wait after it.
_AFTER_FAILURE = 30.0
_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_FAILING = {"status": 500}
_OLDER = timedelta(seconds=TIMEOUT // 2)


def twice(lab: Lab) -> Verdict:
    """Send the same request twice in a row."""
    batch = batches.create(lab)
    sent = lab.genuine()
    with batches.slow_reads(lab, _READS_OF_TWO) as slowed:
        replies = [lab.send(sent), lab.send(sent)]
        happened = batch.after_work(replies)
    text = "The duplicate had no second effect."
    return slowed.checked(batch.processed_once(sent, replies, happened, text))


def twice_at_once(lab: Lab) -> Verdict:
    """Send the same request twice at the same time."""
    batch = batches.create(lab)
    sent = lab.genuine()
    with batches.slow_reads(lab, _READS_OF_TWO) as slowed:
        replies = lab.send_together([sent, sent])
        happened = batch.after_work(replies)
    text = "Of two requests at once, one had an effect."
    judged = verdicts.without_refused_runs(replies, happened)
    return slowed.checked(batch.processed_once(sent, replies, happened, text, judged=judged))


def burst_10(lab: Lab) -> Verdict:
    """Send as many requests at the same time as the platform does."""
    return _burst(lab, _IN_FLIGHT)


def burst(lab: Lab) -> Verdict:
    """Send more requests at the same time than the platform does."""
    return _burst(lab, _BURST)


def _burst(lab: Lab, count: int) -> Verdict:
    batch = batches.create(lab, _BURST_ORDERS)
    sent = lab.genuine()
    deadline = max(_BURST_SECONDS, 2 * count * lab.timing.response)
    with batches.slow_reads(lab, _READS_OF_BURST) as slowed:
        replies = lab.send_together([sent] * count, deadline)
        happened = batch.after_work(replies)
    slowest = max(reply.seconds for reply in replies)
    text = (
        f"{count} requests at once: {_BURST_ORDERS} orders approved once each; the slowest "
        f"response took {verdicts.seconds(slowest)}."
    )
    judged = verdicts.without_refused_runs(replies, happened)
    return slowed.checked(batch.processed_once(sent, replies, happened, text, judged=judged))


def after_own_error(lab: Lab) -> Verdict:
    """Let the API fail during one request, and send another one when it works again.

    First each call fails, and then only those that change something.
    """
    for methods, what in ((("",), "each call"), (_WRITES, "each write")):
        verdict = _after_failure(lab, methods, what)
        if verdict.outcome is not Outcome.PASS:
            break
    return verdict


def _after_failure(lab: Lab, methods: Sequence[str], what: str) -> Verdict:
    batch = batches.create(lab)
    with ExitStack() as stack:
        scopes: list[dict[str, str]] = [{"method": m} if m else {} for m in methods]
        faults = [
            stack.enter_context(lab.platform.fault("abort", _FAILING, side="api", **scope))
            for scope in scopes
        ]
        first = lab.send()
        lab.wait_fired(batch.mark, batch.orders[0], *faults)
        lab.settle(patience=SHORT_PATIENCE)
        fired = sum(fault.fired for fault in faults)
    sent = lab.genuine()
    second = lab.send(sent, max(_AFTER_FAILURE, lab.timing.deadline))
    happened = batch.after_work([second])
    if not fired:
        return verdicts.void(
            f"the handler made no API call that could fail ({what}).",
            verdicts.reply_exhibit(first),
            happened.exhibit(),
        )
    text = f"Responded {first.text} while {what} of the API failed, and processed the next request."
    return batch.processed_once(sent, [second], happened.without_faults(), text)


def late_duplicate(lab: Lab) -> Verdict:
    """Repeat a request when its order and a later one have been approved."""
    first = batches.create(lab)
    sent = lab.genuine()
    replies = [lab.send(sent)]
    first.after_work(replies)
    second = batches.create(lab)
    replies.append(lab.send())
    second.after_work(replies)
    replies.append(lab.send(sent))
    happened = first.after_work(replies)
    return batches.joined(first, second).processed_once(
        sent, replies, happened, "The late duplicate had no effect."
    )


def out_of_order(lab: Lab) -> Verdict:
    """Send a request that is older than the one before it, with a new order to process."""
    first = batches.create(lab)
    replies = [lab.send()]
    first.after_work(replies)
    second = batches.create(lab)
    at = datetime.now(UTC) - _OLDER
    claims = {"triggered_at": format_timestamp(at), "exp": int(at.timestamp()) + TIMEOUT}
    body = {key: value for key, value in claims.items() if key != "exp"}
    token = lab.signer.token(lab.signer.claims(**claims))
    sent = lab.genuine(token=token, changes=body)
    replies.append(lab.send(sent))
    second.after_work(replies)
    happened = lab.since(first.mark)
    return batches.joined(first, second).processed_once(
        sent, replies, happened, "The older request was processed, too."
    )


def finished_object(lab: Lab) -> Verdict:
    """Send a request when others have approved one order and failed the other one."""
    approved, failed = lab.orders(2)
    lab.platform.approve(approved)
    lab.platform.fail(failed)
    mark = lab.mark()
    sent = lab.genuine()
    reply = lab.send(sent)
    happened = lab.after(mark)
    evidence = (verdicts.request_exhibit(sent), verdicts.reply_exhibit(reply), happened.exhibit())
    # A refused call changes nothing.
    about = (*happened.about(approved), *happened.about(failed))
    writes = [call for call in about if not call.is_read and call.status < 400]
    if writes:
        call = writes[0]
        return verdicts.failed(
            f"Called {call.method} {call.path}, although it is not pending.", *evidence
        )
    if not reply.is_success:
        return verdicts.failed(
            f"Responded {reply.text}, although there is nothing to do (expected 2xx).", *evidence
        )
    return verdicts.passed(f"Responded {reply.status}, and changed nothing.")


_ONCE = "A status of 2xx for each request, and the order is approved once."
_OR_REFUSED = (
    "A run that fails with 5xx because the API refused it as the later one is fine: the platform "
    "calls again."
)
_SERIALIZE = (
    "Process one request at a time, for instance with a lock that your processes share, and read "
    "what is pending only once you have the lock."
)

_ONCE_EACH = "A status of 2xx for each request, and each order is approved once."
_WHY_BURST = (
    "A campaign or an import makes many queue changes in a second. A handler that refuses "
    "connections or repeats the work for each request fails just then."
)
_SHARE_RUNS = (
    f"{_SERIALIZE} Requests that wait for the lock can share one run that begins after they "
    "arrived. Let the web server accept more connections than it has workers (backlog)."
)

CHECKS = (
    Check(
        "delivery.control",
        Level.MUST,
        "A genuine request by Connect is processed",
        *CONTROL_TEXTS,
        control,
        is_control=True,
        extension=task_experiments.control,
    ),
    Check(
        "delivery.twice",
        Level.MUST,
        "The same request twice in a row has one effect",
        "The same genuine request twice, the second one right after the first response, while an "
        "order is pending. The API responds slowly.",
        f"{_ONCE} No second value is sent for a parameter, also not one that the API refuses.",
        "Connect delivers at least once: a request whose response is lost is sent again.",
        "Read the pending requests from the API in each run; respond 200 if there are none. If you "
        f"respond before the work is done: {_SERIALIZE[0].lower()}{_SERIALIZE[1:]}",
        twice,
        extension=task_experiments.twice,
    ),
    Check(
        "delivery.twice_at_once",
        Level.MUST,
        "The same request twice at once has one effect",
        "The same genuine request twice at the same time, while an order is pending. The API "
        "responds slowly, so that both would read before one writes.",
        f"{_ONCE} No second value is sent for a parameter, also not one that the API refuses. "
        f"{_OR_REFUSED}",
        "Queue changes come in groups, and servers work in parallel: two runs that read the same "
        "pending order provision it twice.",
        _SERIALIZE,
        twice_at_once,
    ),
    Check(
        "delivery.burst_10",
        Level.MUST,
        "Ten requests at once are survived",
        f"Genuine requests, {_IN_FLIGHT} at the same time, while {_BURST_ORDERS} orders are "
        "pending.",
        f"{_ONCE_EACH} {_OR_REFUSED}",
        f"So many requests are in flight at most to one webhook. {_WHY_BURST}",
        _SHARE_RUNS,
        burst_10,
        extension=lambda lab: task_experiments.burst(lab, _IN_FLIGHT),
    ),
    Check(
        "delivery.burst",
        Level.SHOULD,
        "A burst of requests is survived",
        f"Genuine requests, {_BURST} at the same time, while {_BURST_ORDERS} orders are pending.",
        f"{_ONCE_EACH} {_OR_REFUSED}",
        f"The sandbox sends at most {_IN_FLIGHT} to one webhook; a product has several, and a "
        f"platform may send more. {_WHY_BURST}",
        _SHARE_RUNS,
        burst,
        extension=lambda lab: task_experiments.burst(lab, _BURST),
    ),
    Check(
        "delivery.after_own_error",
        Level.MUST,
        "A failed run doesn't block the next one",
        "A genuine request while the API answers each call with 500; then the API works again, and "
        "another genuine request follows. The same once more, with a new order, while only calls "
        "that change something are answered with 500.",
        "A status of 2xx for the following request, and the order is approved once.",
        "A handler that remembers the first request as done, or keeps a lock after the error, "
        "doesn't process the order when Connect calls again.",
        "Release locks in `finally` (or `with`, `defer`), remember an order as done only when "
        "its work is, and respond 500 where the work failed.",
        after_own_error,
    ),
    Check(
        "delivery.late_duplicate",
        Level.MUST,
        "A late duplicate has no effect",
        "A request about one order, one about a second order, and then the first one again, whose "
        "token is still valid.",
        _ONCE_EACH,
        "A delivery can be repeated minutes later, when other work has been done in between.",
        "Don't take a request as the order to process something, but as a hint to read what is "
        "pending. Respond 200 if there is nothing.",
        late_duplicate,
    ),
    Check(
        "delivery.out_of_order",
        Level.MUST,
        "An older request after a newer one is processed",
        "A request about one order, and then one about a second order whose `triggered_at` is five "
        "minutes earlier and whose token is still valid.",
        _ONCE_EACH,
        "Retries come after newer deliveries. A handler that drops what is older than the last "
        "request leaves orders pending.",
        "Ignore `triggered_at`: read what is pending each time.",
        out_of_order,
    ),
    Check(
        "delivery.finished_object",
        Level.MUST,
        "A request about finished orders is accepted",
        "A genuine request, when another party has approved one order and failed the other one, "
        "and nothing is pending.",
        "A status of 2xx, and no call that changes one of them.",
        "Between the event and the request, other runs or people may have done the work. An error "
        "makes Connect repeat the request for hours.",
        "Filter by `status=pending` when you read requests, and respond 200 if there are none.",
        finished_object,
    ),
)
