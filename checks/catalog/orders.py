"""Checks of effects on orders that are not like the first one: later, of other types and names."""

from __future__ import annotations

from dataclasses import replace

from checks import batches, experiments, verdicts
from checks.lab import Lab
from checks.model import Check, Level, Outcome, Verdict

NAMES = ("Łódź Łąki Sp. z o.o.", "株式会社みらい", "Ümit & Söhne “Größe” <GmbH>")
# In this order they can be made for one subscription.
TYPES = ("suspend", "resume", "cancel")
_NOTHING_TO_ASK = "The product has no parameter that the customer fills in."


def older_order(lab: Lab) -> Verdict:
    """Let an order become pending again after a newer one was approved."""
    older = lab.order()
    if not lab.platform.inquire(older):
        return verdicts.skipped(_NOTHING_TO_ASK)
    # Later by more than the second to which the API shows times.
    lab.platform.advance("1h", lab.timing.quiet)
    newer = lab.order()
    verdict = batches.of(lab, [newer]).process()
    if verdict.outcome is not Outcome.PASS:
        return verdict
    lab.platform.answer(older)
    text = f"Processed {older}, which became pending again after the newer {newer}."
    return batches.of(lab, [older]).process(text)


def old_error(lab: Lab) -> Verdict:
    """Let an order become pending again with the error that it was inquired for."""
    order = lab.order()
    if not lab.platform.inquire(order):
        return verdicts.skipped(_NOTHING_TO_ASK)
    lab.platform.act(order, "pend")
    return batches.of(lab, [order]).process(f"Processed {order} with the error of an old inquiry.")


def other_types(lab: Lab) -> Verdict:
    """Suspend, resume and cancel a subscription, one after another."""
    purchase = batches.create(lab)
    verdict = purchase.process()
    if verdict.outcome is not Outcome.PASS:
        return verdict
    subscription = lab.platform.request(purchase.orders[0])["asset"]["id"]
    kinds = TYPES if lab.platform.catalog(lab.product).has_hold else TYPES[-1:]
    for kind in kinds:
        batch = batches.of(lab, [lab.platform.change_order(kind, subscription)])
        replies = [lab.send(lab.genuine())]
        happened = batch.after_work(replies)
        [order] = batch.orders
        effects = batch.effects(happened)[order]
        if effects.status not in ("approved", "failed"):
            return verdicts.failed(
                f"{order}, an order to {kind} the subscription, is {effects.status} (expected "
                "approved, or failed with a reason).",
                verdicts.effects_exhibit(effects, order),
                verdicts.replies_exhibit(replies),
                happened.exhibit(),
            )
    return verdicts.passed(f"Processed orders to {', '.join(kinds)}.")


def customer_names(lab: Lab) -> Verdict:
    """Order for customers whose names have letters of several alphabets, one after another."""

    def judge(name: str) -> Verdict:
        batch = batches.of(lab, [lab.platform.order_for(lab.product, name)])
        verdict = batch.process("Processed orders of customers with names of several alphabets.")
        if verdict.outcome is not Outcome.PASS:
            return replace(verdict, text=f"The order of {name}: {verdict.text}")
        return verdict

    return experiments.sweep(lab, NAMES, judge, "orders")


CHECKS = (
    Check(
        "effects.older_order",
        Level.MUST,
        "An order that becomes pending late is processed",
        "An order is inquiring while a newer one is approved; then it becomes pending again, and a "
        "genuine request comes.",
        "The older order is approved once.",
        "An order comes back from the customer days later. A handler that remembers how far it has "
        "got, and asks for newer orders only, never sees it.",
        "Ask for what is pending, without a limit by time or id.",
        older_order,
    ),
    Check(
        "effects.old_error",
        Level.SHOULD,
        "An order with an error of an old inquiry is processed",
        "An order that the vendor has inquired about and made pending again: the parameter has a "
        "value, and still its `value_error`.",
        "The order is approved once.",
        "Connect keeps a `value_error` until somebody writes an empty one or the customer answers. "
        "A handler that inquires whenever there is one does so for ever.",
        "Decide by the values, and write an empty `value_error` with each value of your own.",
        old_error,
    ),
    Check(
        "effects.other_types",
        Level.SHOULD,
        "Orders of all types are processed",
        "After a purchase: orders to suspend, to resume and to cancel the subscription, each with "
        "a genuine request; only to cancel it, if the product cannot be suspended.",
        "Each becomes approved, or failed with a reason.",
        "An order of a type that the handler doesn't know stays pending for ever, and blocks the "
        "subscription: no other order can be placed for it.",
        "Decide by the order's `type`, and fail those that your product doesn't have with a "
        "reason that the distributor understands.",
        other_types,
    ),
    Check(
        "effects.customer_names",
        Level.MUST,
        "Names in all alphabets are processed",
        f"Orders of customers with the names {', '.join(NAMES)}, one after another.",
        "Each becomes approved because of its own request.",
        "Customers are called like that. An encoding that has no such letters ends the whole run.",
        "Use UTF-8 wherever text is stored, logged or sent, and JSON or XML libraries instead of "
        "pieces of text.",
        customer_names,
    ),
)
