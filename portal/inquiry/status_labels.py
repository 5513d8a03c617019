"""Where a request stands, in words for the customer or the reseller that it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portal.inquiry.subject import Subject
from requests_queue.queues.fulfillment import queries as orders
from requests_queue.queues.fulfillment import texts
from requests_queue.queues.tier_config import queries as of_resellers
from requests_queue.queues.tier_config import representations

# Status: a heading, and sentences in which the vendor's name stands for {vendor}.
_WORDS = {
    "draft": ("This request has not been sent yet", "There is nothing to answer here yet."),
    "tiers_setup": (
        "Something else is set up first",
        "The request waits until the resellers that it goes through are set up. There is nothing "
        "to answer here now.",
    ),
    "pending": (
        "Your answers are on their way",
        "{vendor} has them and is working on the request. There is nothing left for you to do; "
        "if something else is needed, you will be asked again.",
    ),
    "approved": (
        "This request is done",
        "{vendor} has approved it. There is nothing left to answer.",
    ),
    "failed": (
        "This request was closed without success",
        "Nothing can be answered here any more. To start over, ask who sent you the link.",
    ),
    "scheduled": (
        "This request is planned for later",
        "{vendor} has what it needs and will carry the request out on the planned date.",
    ),
    "revoking": (
        "This request is being taken back",
        "It was planned, and whoever ordered it has asked for it not to be carried out.",
    ),
    "revoked": (
        "This request was taken back",
        "It is not carried out, and there is nothing left to answer.",
    ),
}


def words(subject: Subject) -> dict[str, str]:
    """Return the heading, the sentence, and the reason of one that failed."""
    row = subject.row
    heading, sentence = _WORDS.get(row.status, ("There is nothing to answer", ""))
    reason = row.reason if row.status in ("failed", "revoking", "revoked") else ""
    return {
        "heading": heading,
        "sentence": sentence.format(vendor=row.vendor.name),
        "reason": reason,
        "tone": {"failed": "bad", "approved": "good", "pending": "good"}.get(row.status, "plain"),
    }


def _of_order(row: Any) -> list[tuple[str, str]]:
    return [("Customer", row.asset.customer.name), ("Reseller", row.asset.tier1.name)]


def _of_reseller(row: Any) -> list[tuple[str, str]]:
    level = "Reseller" if row.configuration.tier_level == 1 else "Reseller of the upper tier"
    return [(level, row.configuration.account.name)]


_PEOPLE: dict[str, Callable[[Any], list[tuple[str, str]]]] = {
    "fulfillment_request": _of_order,
    "tier_config_request": _of_reseller,
}


def facts(subject: Subject) -> list[tuple[str, str]]:
    """Return whose request it is and what it is called."""
    row = subject.row
    kind = str(row.type).capitalize()
    people = _PEOPLE[subject.queue.object_class](row)
    return [
        ("Request", row.pk), ("Kind", kind), ("Product", row.product.name),
        ("Vendor", row.vendor.name), *people,
    ]  # fmt: skip


# What completes rows of a queue with all that is shown of them, and what is written about one.
_TEXTS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], str]]] = {
    "fulfillment_request": (orders.complete, texts.of_request),
    "tier_config_request": (of_resellers.complete, representations.text_of_request),
}


def text(subject: Subject) -> str:
    """Return what the vendor writes about the request as it stands: Markdown."""
    complete, written = _TEXTS[subject.queue.object_class]
    row = complete(subject.queue.model._default_manager.filter(pk=subject.row.pk)).first()
    return written(row) if row is not None else ""
