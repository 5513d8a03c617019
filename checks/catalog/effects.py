"""Checks of effects: which requests a handler processes, and how cleanly."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from checks import batches, causes, experiments, response_time, verdicts
from checks.catalog import forged, speed
from checks.experiments import CONTROL_TEXTS, control
from checks.handler_requests import Reply, SentRequest
from checks.history import Call, History
from checks.lab import Lab
from checks.model import Check, Level, Outcome, Verdict
from checks.timing import OutOfTime
from checks.tokens import seconds_from_now, sign, without_signature

# More than a page: the API's default limit is 100.
_MANY = 105
_FEW, _SEVERAL = 3, 7
# Seconds for the response to each of several forged requests.
_BRIEFLY = 2.0
_DUPLICATES, _READS = 2, 40


def forged_none(lab: Lab) -> Verdict:
    """Send forged requests of several kinds, one by one and together."""
    return experiments.without_effect(lab, lambda: _forged_none(lab))


def _forged_none(lab: Lab) -> Verdict:
    batch = batches.create(lab, _FEW)
    # Tokens of one second are equal otherwise, and a handler may refuse one that it has seen.
    data = {"orders": batch.orders}
    claims = lab.signer.claims(data=data)
    expired = {**claims, "exp": seconds_from_now(-3600)}
    sent = [
        lab.genuine(token_headers=[]),
        lab.genuine(token_headers=[], method="GET"),
        forged.in_both(lab, f"Bearer {lab.word()}"),
        lab.genuine(token=sign(claims, forged.wrong_secret(lab))),
        lab.genuine(token=sign(claims, "", "none")),
        lab.genuine(token=without_signature(lab.signer.token(claims))),
        lab.genuine(token=lab.signer.token(expired)),
        lab.genuine(signer=lab.stranger, changes={"data": data}),
    ]
    # Only effects are judged, so a response isn't waited for long.
    replies = [*(lab.send(each, _BRIEFLY) for each in sent), *lab.send_together(sent)]
    happened = lab.after(batch.mark)
    text = f"{len(replies)} forged requests changed none of {_FEW} pending orders."
    return batch.untouched(sent[0], replies, happened, "a forged request", text, cause=causes.ACTED)


def approved_once(lab: Lab) -> Verdict:
    """Send duplicates, and judge what is seen of the orders."""
    batch, sent = batches.create(lab, _FEW), lab.genuine()
    replies, slowed = _send_duplicates(batch, sent)
    happened = batch.after_work(replies)
    text = f"{len(replies)} requests, and each of {_FEW} orders was approved once."
    judged = verdicts.without_refused_runs(replies, happened)
    return slowed.checked(batch.processed_once(sent, replies, happened, text, judged=judged))


def one_run(lab: Lab) -> Verdict:
    """Send duplicates, and look for calls that come when an order is approved already."""
    batch, sent = batches.create(lab, _FEW), lab.genuine()
    replies, slowed = _send_duplicates(batch, sent)
    happened = batch.after_work(replies)
    evidence = (
        verdicts.request_exhibit(sent),
        verdicts.replies_exhibit(replies),
        happened.exhibit(),
    )
    for order in batch.orders:
        calls = happened.about(order)
        approvals = [each for each in calls if each.action == "approve" and each.status < 300]
        if not approvals:
            return verdicts.void(f"{order} was not approved.", *evidence)
        if late := late_calls(calls, approvals[0]):
            return verdicts.failed(
                f"Called {late[0].method} {late[0].path} (HTTP {late[0].status}) when {order} was "
                "approved already. What that run did outside of Connect before, such as creating "
                "an account, can't be seen from here: it may have been done twice.",
                *evidence,
                cause=causes.TWICE,
            )
    text = f"{len(replies)} requests, and each of {_FEW} orders was processed by one run."
    return slowed.checked(verdicts.passed(text))


def late_calls(calls: Sequence[Call], approval: Call) -> list[Call]:
    """Return the calls that came too late for an order that was approved.

    The API may have answered a call that was refused before it answered the approval.
    """
    return [
        call
        for call in calls
        if call is not approval
        and (call.action == "approve" or (not call.is_read and 400 <= call.status < 500))
        and call.began + call.seconds > approval.began
    ]


def _send_duplicates(
    batch: batches.Batch, sent: SentRequest
) -> tuple[list[Reply], batches.SlowReads]:
    """Send a request several times at once, while the API is slow, and then in a row."""
    lab = batch.lab
    with batches.slow_reads(lab, _READS) as slowed:
        replies = lab.send_together([sent] * _DUPLICATES)
        batch.after_work(replies)
    return replies + [lab.send(sent) for _ in range(_DUPLICATES)], slowed


def all_pending(lab: Lab) -> Verdict:
    """Send one request while more orders are pending than a page of the API has."""
    batch = batches.create(lab, _MANY)
    sent, began = lab.genuine(), time.time()
    try:
        # A handler may process all orders first.
        reply = lab.send(sent, lab.budget.seconds)
        happened = _after_all_work(lab, batch)
    except OutOfTime:
        rows = lab.platform.requests_by_id(batch.orders).values()
        done = sum(row["status"] == "approved" for row in rows)
        return verdicts.inconclusive(
            f"{done} of {_MANY} pending orders were approved in the {lab.budget.seconds:.0f} s "
            "that this check lasts: the handler takes longer for them.",
            lab.since(batch.mark).exhibit("Last API calls of the handler"),
        )
    measured = response_time.measured(sent, began, reply, happened)
    # With fewer orders, it would come as soon.
    if reply.is_success and measured.own <= speed.SLOW:
        lab.shared[speed.MEASURED] = measured
    rows = lab.platform.requests_by_id(batch.orders).values()
    pending = sum(row["status"] != "approved" for row in rows)
    if pending:
        return verdicts.failed(
            f"{pending} of {_MANY} pending orders were not approved because of one request.",
            verdicts.request_exhibit(sent),
            verdicts.reply_exhibit(reply),
            happened.exhibit("Last API calls of the handler"),
        )
    text = f"{_MANY} pending orders were approved because of one request."
    return batch.processed_once(sent, [reply], happened, text)


def _after_all_work(lab: Lab, batch: batches.Batch) -> History:
    """Wait as long as the handler goes on, and return what has happened."""
    happened = lab.after(batch.mark)
    while not lab.wait_finished(batch.orders):
        made = len(happened.calls)
        happened = lab.after(batch.mark)
        if len(happened.calls) == made:
            break
    return lab.since(batch.mark)


def approved_elsewhere(lab: Lab) -> Verdict:
    """Approve one of several orders when the handler has read them as pending."""
    orders = lab.orders(_SEVERAL)
    victim = inner(list(lab.platform.requests_by_id(orders).values()))
    batch = batches.of(lab, [order for order in orders if order != victim])
    sent = lab.genuine()
    with lab.platform.fault("hold", side="api", method="GET", path="/requests", nth=[1]) as hold:
        pending = lab.begin(sent, 2 * lab.timing.deadline)
        has_read = hold.wait_held(1, lab.timing.deadline) >= 1
        lab.platform.approve(victim)
        values = lab.values(victim)
    reply = pending.result()
    happened = batch.after_work([reply])
    if not has_read:
        return verdicts.void(
            "the handler did not read the list of requests (GET /requests).",
            verdicts.reply_exhibit(reply),
            happened.exhibit(),
        )
    if lab.status(victim) != "approved" or lab.values(victim) != values:
        return verdicts.failed(f"Changed {victim}, which others have approved.", happened.exhibit())
    others = batch.processed_once(sent, [reply], happened, "", judged=[])
    if others.outcome is not Outcome.PASS:
        return replace(others, text=f"When others approved {victim}: {others.text}")
    replies = [reply, lab.send(sent)]
    text = f"Processed the other orders, although {victim} was approved meanwhile."
    judged = replies if reply.error else replies[1:]
    return batch.processed_once(sent, replies, happened, text, judged=judged)


def inner(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the id of a request that is neither the first nor the last, however they are ordered.

    That is: as given, by id, and by creation (in seconds) and id. There is one among seven.
    """
    orders = (
        [row["id"] for row in rows],
        sorted(row["id"] for row in rows),
        [row["id"] for row in sorted(rows, key=lambda row: (row["created"], row["id"]))],
    )
    outer = {order[end] for order in orders for end in (0, -1)}
    return next(str(row["id"]) for row in rows if row["id"] not in outer)


def other_product(lab: Lab) -> Verdict:
    """Send a genuine request while an order of another product is pending, too."""
    own, foreign = batches.create(lab), batches.create(lab, product=lab.other.product_id)
    sent = lab.genuine()
    replies = [lab.send(sent)]
    happened = own.after_work(replies)
    what = f"a token for {lab.product}, although it is of {lab.other.product_id}"
    touched = foreign.untouched(sent, replies, happened, what, "")
    if touched.outcome is not Outcome.PASS:
        return touched
    text = f"Processed the order of {lab.product}, and left that of {lab.other.product_id} alone."
    return own.processed_once(sent, replies, happened, text)


def history_clean(lab: Lab) -> Verdict:
    """Judge all that is done to orders on the way, one of which an earlier run has begun."""
    mark = lab.mark()
    orders = lab.orders(_FEW)
    prepared = lab.platform.fill(orders[0])
    if lab.platform.calls(mark):
        # It may have read the order without these values.
        return verdicts.void("the handler was at work before it was called.")
    batch = batches.of(lab, orders)
    sent = lab.genuine()
    replies = [lab.send(sent)]
    happened = batch.after_work(replies)
    for order in orders:
        made = [(c.status_from, c.status_to) for c in happened.changes if c.object == order]
        if made not in ([("pending", "approved")], []):
            text = ", ".join(f"{status_from} to {status_to}" for status_from, status_to in made)
            return verdicts.failed(
                f"{order} went from {text} (expected from pending to approved only).",
                verdicts.request_exhibit(sent),
                happened.exhibit(),
            )
    kept = json.dumps(sorted(prepared))
    text = f"{_FEW} orders went from pending to approved directly; values such as {kept} were kept."
    return batch.processed_once(sent, replies, happened, text)


_SENDS_DUPLICATES = (
    f"The same genuine request {_DUPLICATES} times at once and {_DUPLICATES} times more in a row, "
    f"while {_FEW} orders are pending. The API responds slowly."
)
_SERIALIZE = (
    "Process one request at a time, with a lock that your processes share, and read what is "
    "pending only once you have the lock."
)

CHECKS = (
    Check(
        "effects.control",
        Level.MUST,
        "A genuine request by Connect is processed",
        *CONTROL_TEXTS,
        control,
        is_control=True,
    ),
    Check(
        "effects.forged_none",
        Level.MUST,
        "Forged requests have no effect",
        "Requests without a token, with garbage, without a signature, with a wrong secret, with "
        '`"alg": "none"`, with an expired token and with another webhook\'s token, first one by '
        f"one and then all at once, while {_FEW} orders are pending.",
        "No call that changes something, and the orders stay pending, whatever the status of the "
        "responses.",
        "A response of 401 is worth nothing if the work is done all the same, for instance by a "
        "task that was started before the token was verified.",
        "Verify the token before anything else: before a task is queued and before the API is "
        "called.",
        forged_none,
    ),
    Check(
        "effects.approved_once",
        Level.MUST,
        "Each order is approved once",
        _SENDS_DUPLICATES,
        "Each order is approved once, and no second value is sent for a parameter, also not one "
        "that the API refuses.",
        "A second run that comes with a value of its own has provisioned the order a second time.",
        f"{_SERIALIZE} Make what you create for an order the same in each run, for example by its "
        "name.",
        approved_once,
    ),
    Check(
        "effects.one_run",
        Level.SHOULD,
        "Each order is processed by one run",
        _SENDS_DUPLICATES,
        "No call that changes an order comes when it is approved already. The API refuses such a "
        "call, and it counts here all the same.",
        "Connect isn't harmed. But a second run that comes so far has done before what it does "
        "outside of Connect: where that isn't the same the second time, the order is provisioned "
        "twice.",
        f"{_SERIALIZE} If each run finds what an earlier one has created, it is only wasted calls.",
        one_run,
    ),
    Check(
        "effects.all_pending",
        Level.MUST,
        "One request lets all pending orders be processed",
        f"One genuine request while {_MANY} orders are pending: more than one page of the API.",
        "All of them become approved because of this request, once each.",
        "A request doesn't say which order has changed, and one request can stand for several "
        "changes. What is on the second page stays pending until something else happens.",
        "Read all pages: repeat `GET /requests` with `limit` and `offset` until a page is not "
        "full. Read all ids before you approve the first order, because approved ones leave the "
        "list and move the pages.",
        all_pending,
        measurement=speed.MEASURED,
    ),
    Check(
        "effects.approved_elsewhere",
        Level.MUST,
        "An order that others approve does no harm",
        f"A genuine request while {_SEVERAL} orders are pending. When the handler has read them as "
        "pending, somebody else approves one of them.",
        "The handler approves the other orders because of the same request, leaves that order as "
        "it is, and accepts the next request.",
        "People and other systems work on the same queue. One order for which the API refuses a "
        "call must not keep the others from being processed.",
        "Catch a refusal (4xx) for each order separately, read that order again, and go on with "
        "the next one. If it is approved already, there is nothing to do.",
        approved_elsewhere,
    ),
    Check(
        "effects.other_product",
        Level.MUST,
        "Another product's order is left alone",
        "A genuine request while an order of the token's product and one of another product of "
        "the same vendor are pending.",
        "The order of the token's product becomes approved. The other one stays as it is.",
        "An API key can read the requests of all products of its account. Other products have "
        "handlers of their own.",
        "Filter by the product when you read requests: "
        "`GET /requests?and(eq(status,pending),eq(asset.product.id,PRD-…))` with the claim "
        "`product_id`.",
        other_product,
    ),
    Check(
        "effects.history_clean",
        Level.MUST,
        "An order becomes approved without detours",
        f"A genuine request while {_FEW} orders are pending. The fulfillment parameters of one are "
        "filled already, as by a run that was interrupted.",
        "Each order goes from pending to approved once. It isn't failed, inquired or "
        "assigned on the way, and no value that a parameter has is replaced by another one.",
        "Customers and other systems see each status, and values such as a license key may be in "
        "use already. The end looks right in both cases.",
        "Fill only parameters that are empty, and approve directly. Inquire or fail only what "
        "cannot be fulfilled.",
        history_clean,
    ),
)
