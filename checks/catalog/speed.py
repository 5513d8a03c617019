"""Checks of speed: how soon a handler responds, and how many connections it serves."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial

from checks import response_time, verdicts
from checks.client import connect
from checks.experiments import CONTROL_TEXTS, control
from checks.handler_requests import Reply
from checks.history import History
from checks.lab import Lab
from checks.model import Check, Level, Need, Verdict
from checks.response_time import Measured

# Seconds after which proxies often cut a connection, and after which a response is slow.
LONGEST, SLOW = 30.0, 5.0
PENDING, DEEP_PENDING, CONNECTIONS = 100, 5000, 100
# Bytes of the body of a request that is refused.
_REFUSED_BODY = 20_000
# Seconds of real time for the work on these orders.
_WORK, _DEEP_WORK = 20.0, 600.0
_LATER = 5.0  # seconds for which a response is waited for after the longest time
# Each API response is delayed so long. Work of two calls or more takes longer than 6 s then.
DELAY = 3.5
MEASURED = "speed: a response with 100 pending orders"


def timeout_30s(lab: Lab) -> Verdict:
    """Respond within 30 s, with 100 pending orders."""
    return response_time.within(LONGEST, f"a request with {PENDING} pending orders", _shared(lab))


def seconds_5(lab: Lab) -> Verdict:
    """Respond within 5 s, with 100 pending orders."""
    return response_time.within(SLOW, f"a request with {PENDING} pending orders", _shared(lab))


def pending_5000(lab: Lab) -> Verdict:
    """Respond within 30 s, with 5,000 pending orders."""
    orders = lab.orders(DEEP_PENDING)
    measured = _measure(lab, orders, _DEEP_WORK)
    verdict = response_time.within(LONGEST, "a request with 5,000 pending orders", [measured])
    if verdict.outcome == "pass" and not lab.wait_finished(orders, 0):
        return verdicts.failed(
            f"{verdict.text[:-1]}, but orders are pending {_DEEP_WORK / 60:g} minutes later.",
            *measured.exhibits(),
        )
    return verdict


def early_response(lab: Lab) -> Verdict:
    """Respond within 5 s while the API is slow; the order is approved in the end."""
    for _ in range(2):
        order = lab.order()
        mark = lab.mark()
        delay = {"ms": DELAY * 1000}
        with lab.platform.fault("latency", delay, account=lab.signer.account_id) as fault:
            reply = lab.send(timeout=LONGEST)
            # A handler may begin its work after the response.
            lab.wait_for(lambda: fault.fired > 0, lab.timing.deadline)
            fired = fault.fired
        lab.wait_finished([order], _WORK)
        happened = lab.after(mark)
        # So late but not later, it may be the machine that is slow: another measurement tells.
        if not SLOW < reply.seconds < 2 * DELAY:
            break
    if not fired:
        return verdicts.inconclusive(
            "The handler made no call of the API while it was slow.", happened.exhibit()
        )
    return _early(reply, order, lab.status(order), happened)


def _early(reply: Reply, order: str, status: str, happened: History) -> Verdict:
    evidence = verdicts.reply_exhibit(reply), happened.exhibit()
    took = verdicts.seconds(reply.seconds)
    if not reply.status:
        return verdicts.failed(
            f"Gave no response while each call of the API took {DELAY:g} s: {reply.error}.",
            *evidence,
        )
    if reply.seconds > SLOW:
        return verdicts.failed(
            f"Responded after {took} while each call of the API took {DELAY:g} s (expected "
            f"within {SLOW:g} s).",
            *evidence,
        )
    if status != "approved":
        return verdicts.failed(
            f"Responded after {took}, and {order} is {status} afterwards (expected approved).",
            *evidence,
        )
    return verdicts.passed(f"Responded after {took}, and {order} was approved.")


def keep_alive_refused(lab: Lab) -> Verdict:
    """Send a request that must be refused, and a genuine one on the same connection."""
    order = lab.order()
    mark = lab.mark()
    forged = lab.genuine(token_headers=[], method="POST", body=b"{" + b" " * _REFUSED_BODY + b"}")
    with closing(connect(lab.handler.url, lab.timing.deadline)) as connection:
        replies = [lab.send(forged, connection=connection)]
        is_kept = connection.sock is not None
        replies.append(lab.send(connection=connection))
    happened = lab.after_work(mark, replies[1:], [order])
    evidence = verdicts.replies_exhibit(replies), happened.exhibit()
    if replies[0].is_success or replies[0].error:
        return verdicts.inconclusive(
            f"Responded {replies[0].text} to a request without a token.", *evidence
        )
    if not is_kept:
        return verdicts.passed("Announced that it closes the connection after a refusal.")
    if not replies[1].is_success:
        return verdicts.failed(
            f"Responded {replies[1].text} to a genuine request on a connection on which one was "
            "refused before (expected 2xx).",
            *evidence,
        )
    return verdicts.passed("Served a genuine request on a connection after a refused one.")


def keep_alive(lab: Lab) -> Verdict:
    """Send two genuine requests on one connection, each about a new order."""
    mark = lab.mark()
    orders: list[str] = []
    replies: list[Reply] = []
    with closing(connect(lab.handler.url, lab.timing.deadline)) as connection:
        for _ in range(2):
            orders.append(lab.order())
            replies.append(lab.send(connection=connection))
            if connection.sock is None:
                break
    lab.wait_finished(orders, lab.timing.deadline)
    happened = lab.after(mark)
    evidence = verdicts.replies_exhibit(replies), happened.exhibit()
    for number, reply in enumerate(replies, 1):
        if not reply.is_success:
            return verdicts.failed(
                f"Responded {reply.text} to request {number} of 2 on one connection "
                "(expected 2xx).",
                *evidence,
            )
    for order in orders:
        if (status := lab.status(order)) != "approved":
            return verdicts.failed(
                f"Responded to its request, and {order} is {status} (expected approved).",
                *evidence,
            )
    if len(replies) < 2:
        return verdicts.passed("Announced that it closes the connection after a response.")
    return verdicts.passed("Responded to both requests on one connection.")


def connections_100(lab: Lab) -> Verdict:
    """Open 100 connections at once, with a genuine request on each."""
    order = lab.order()
    mark, began = lab.mark(), time.time()
    sent = [lab.genuine() for _ in range(CONNECTIONS)]
    replies = lab.send_together(sent, LONGEST + _LATER)
    lab.wait_finished([order], lab.timing.deadline)
    happened = lab.after(mark)
    evidence = verdicts.replies_exhibit(replies), happened.exhibit()
    lost = [reply for reply in replies if reply.error]
    own = response_time.own_seconds(began, max(r.seconds for r in replies), happened.calls)
    if lost and all(r.seconds >= LONGEST for r in lost) and own <= LONGEST:
        return verdicts.inconclusive(
            "The machine is too slow to judge: the sandbox's API took longer than the handler.",
            *evidence,
        )
    if lost:
        return verdicts.failed(
            f"Gave no response on {len(lost)} of {CONNECTIONS} connections: {lost[0].error}.",
            *evidence,
        )
    if (status := lab.status(order)) != "approved":
        return verdicts.failed(
            f"Responded on all {CONNECTIONS} connections, and {order} is {status} (expected "
            "approved).",
            *evidence,
        )
    return verdicts.passed(f"Responded on all {CONNECTIONS} connections.")


def _shared(lab: Lab) -> Iterator[Measured]:
    """Return the measurement that two checks share, and then a new one."""
    return response_time.shared(lab, MEASURED, lambda: _measure(lab, lab.orders(PENDING), _WORK))


def _measure(lab: Lab, orders: Sequence[str], patience: float) -> Measured:
    """Measure a response while orders are pending, and wait until they are processed."""
    finish = partial(lab.wait_finished, orders, patience)
    return response_time.measure(lab, lab.genuine(), LONGEST + _LATER, finish)


_LIMITS = (
    "Connect waits for about five minutes, but proxies and hosting platforms in between often cut "
    "a connection after 30 s. That counts as a failure, and the request is sent again later."
)
_ANSWER_FIRST = (
    "Respond when the request is verified, or after a few seconds at the latest, and process the "
    "orders in a worker of your own, one run at a time. The worker repeats what fails, after "
    "pauses that grow, and makes a run when the program starts: nobody calls again for what was "
    "pending when it was killed."
)

CHECKS = (
    Check(
        "speed.control",
        Level.MUST,
        "A genuine request by Connect is processed",
        *CONTROL_TEXTS,
        control,
        is_control=True,
    ),
    Check(
        "speed.timeout_30s",
        Level.MUST,
        "Responds within 30 s with 100 pending orders",
        "A genuine request while 100 orders or a few more are pending.",
        "A response with status 2xx within 30 s.",
        _LIMITS,
        _ANSWER_FIRST,
        timeout_30s,
        measurement=MEASURED,
    ),
    Check(
        "speed.seconds_5",
        Level.SHOULD,
        "Responds within 5 s with 100 pending orders",
        "A genuine request while 100 orders or a few more are pending.",
        "A response with status 2xx within 5 s.",
        "The calls of Connect's API take longer in production than here, and there may be more "
        "orders. A handler that needs 5 s here has little left of the 30 s after which many "
        "proxies cut a connection.",
        _ANSWER_FIRST,
        seconds_5,
        measurement=MEASURED,
    ),
    Check(
        "speed.pending_5000",
        Level.SHOULD,
        "Responds within 30 s with 5,000 pending orders",
        "A genuine request while 5,000 orders are pending.",
        "A response with status 2xx within 30 s, and no pending order 10 minutes later.",
        "After an outage, everything that has accumulated is pending when the first request "
        "comes. " + _LIMITS,
        _ANSWER_FIRST,
        pending_5000,
        needs=frozenset({Need.EVENT, Need.DEEP}),
    ),
    Check(
        "speed.early_response",
        Level.SHOULD,
        "Responds in time while the API is slow",
        "A genuine request about a new order, while each response of the API takes 3.5 s.",
        "A response with status 2xx within 5 s, and the order becomes approved.",
        "A handler that holds the connection until all work is done is as slow as the API. "
        + _LIMITS,
        _ANSWER_FIRST,
        early_response,
    ),
    Check(
        "speed.keep_alive",
        Level.SHOULD,
        "Serves two requests on one connection",
        "Two genuine requests on one connection, each about a new order.",
        "A response with status 2xx to both, and both orders become approved.",
        "HTTP/1.1 keeps connections open: a new one, above all with TLS, takes longer than a "
        "request. A request is lost if the handler closes a connection that it said to keep, or "
        "reads the rest of the last body as the next request.",
        "Let a server with HTTP/1.1 and keep-alive serve the handler, and read each request's "
        "body to its end, also where you don't need it.",
        keep_alive,
    ),
    Check(
        "speed.keep_alive_refused",
        Level.SHOULD,
        "Serves a connection on after a refusal",
        "A request without a token and with a body of 20 KB, and then a genuine one on the same "
        "connection.",
        "The first one is refused; the second one is served, or the first response announces "
        "that the connection is closed.",
        "A proxy sends the requests of many clients on one connection. If the body of a refused "
        "request isn't read, it is taken for the next request, and a genuine one fails.",
        "Read each request's body to its end before you respond, or respond with "
        "`Connection: close`.",
        keep_alive_refused,
    ),
    Check(
        "speed.connections_100",
        Level.SHOULD,
        "Responds on 100 connections at once",
        "100 genuine requests at the same time, each on a connection of its own.",
        "A response on each connection, and the pending order becomes approved.",
        "Each queue change causes a request. If a distributor submits many orders, the requests "
        "come at the same time.",
        "Serve connections in threads or asynchronously, let the requests wait for one worker "
        "that reads what is pending, and let the web server accept more connections than it has "
        "workers (backlog).",
        connections_100,
    ),
)
