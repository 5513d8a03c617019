"""The cases that have happened since a cursor, from the timeline, which resets keep.

Only what a handler meets counts: a change that was an event of a webhook, an attempt, an error of
its own API call, a fault that has fired.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.coverage import cases
from sandbox.coverage.cases import DELIVERIES_GROUP, FAULT, VALIDATOR
from sandbox.faults.kinds import TASK
from sandbox.models import ApiCall
from sandbox.timeline import timeline
from sandbox.timeline.timeline import Cursor
from webhooks import states
from webhooks.types import EVENT

PRODUCTS = "products"  # in the entry of a reset: the features of products, by id
_KINDS = (
    timeline.CHANGE,
    timeline.EVENT,
    timeline.ATTEMPT_FINISHED,
    timeline.API_CALL,
    timeline.FAULT,
    timeline.RESET,
)
_COLUMNS = ("kind", "webhook_id", "attempt", "object_id", "data")
# What a validator's attempt says was merged of each parameter: `domain (value, value_error)`.
_MERGED = re.compile(r"\(([a-z_, ]+)\)")
_ERRORS = {"value_error", "structured_error"}

Json = dict[str, Any]


@dataclass(slots=True)
class Happened:
    """How often each case has happened, the products of changes with events, and their features.

    `features` are those that products had at resets, and those of webhooks that have been notified,
    which may be deleted by now; of validators without a known product, by "".
    """

    counts: Counter[str] = field(default_factory=Counter)
    products: set[str] = field(default_factory=set)
    features: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def read(since: Cursor, until: Cursor, product: str = "") -> Happened:
    """Return what has happened between two cursors, with a product only if one is given.

    What is not known to be about another product counts.
    """
    rows = timeline.between(since, until).filter(kind__in=_KINDS)
    reading = _Reading(product)
    for row in rows.values_list(*_COLUMNS, named=True).iterator():
        getattr(reading, f"read_{row.kind}")(row)
    return reading.finish()


class _Reading:
    """Reads entries in order; whose product is known only at the end."""

    def __init__(self, product: str) -> None:
        self.product = product
        self.happened = Happened()
        # By object, status before and after: object class, type, product.
        self.changes: dict[tuple[Any, ...], tuple[str, str, str]] = {}
        self.events: list[tuple[str, tuple[Any, ...]]] = []
        # Cases by the webhook that they are of.
        self.cases: list[tuple[str | None, str]] = []
        self.product_of: dict[str | None, str] = {}
        self.out_of_order: set[str | None] = set()

    def read_change(self, row: Any) -> None:
        data = row.data
        # Those of an earlier version have none.
        if "type" in data:
            known = (data["object_class"], data["type"], data["product"])
            self.changes[row.object_id, data["from"], data["to"]] = known

    def read_event(self, row: Any) -> None:
        if row.object_id:
            change = (row.object_id, row.data["from"], row.data["to"])
            self.events.append((row.webhook_id, change))

    def read_attempt_finished(self, row: Any) -> None:
        is_event = row.data["type"] == EVENT
        found = self._of_event(row) if is_event else _of_validator(row.data)
        self.cases += [(row.webhook_id, each) for each in found]

    def _of_event(self, row: Any) -> Iterator[str]:
        name, webhook, data = f"{DELIVERIES_GROUP}.", row.webhook_id, row.data
        if not data["objects"]:
            yield f"{name}triggered"
        if data["outcome"] == states.FAILURE:
            yield f"{name}no_response" if data["status"] is None else f"{name}error_status"
        if data["state"] == states.DELIVERED:
            depths = {1: "first_attempt", 2: "second_attempt"}
            yield name + depths.get(row.attempt, "later_attempt")
            if len(data["objects"]) > 1:
                yield f"{name}several_objects"
        if data["out_of_order"]:
            self.out_of_order.add(webhook)
            yield f"{name}out_of_order"
        elif webhook in self.out_of_order and data["outcome"] == states.SUCCESS:
            self.out_of_order.discard(webhook)
            yield f"{name}recovered"

    def read_api_call(self, row: Any) -> None:
        if row.data["actor"] == ApiCall.HANDLER:
            found = cases.api_error(row.data["error_code"], row.data["status"] or 0)
            self.cases += [(row.webhook_id, found)] if found else []

    def read_fault(self, row: Any) -> None:
        # The cases are those of handlers.
        if row.data["side"] != TASK:
            self.cases.append((row.webhook_id, f"{FAULT}.{row.data['side']}.{row.data['kind']}"))

    def read_reset(self, row: Any) -> None:
        for pk, words in row.data.get(PRODUCTS, {}).items():
            self.happened.features[pk] |= set(words)
        self.out_of_order.clear()

    def finish(self) -> Happened:
        """Return what has happened, of the product."""
        counts, features = self.happened.counts, self.happened.features
        for webhook, change in self.events:
            # Those of validations are none.
            if change in self.changes:
                object_class, kind, product = self.changes[change]
                self.product_of[webhook] = product
                features[product].add(f"{EVENT}:{object_class}")
                _, before, after = change
                self.cases.append((webhook, cases.change(object_class, kind, before, after)))
        for about, case in self.cases:
            if self.product in ("", self.product_of.get(about, self.product)):
                counts[case] += 1
                if case.startswith(f"{VALIDATOR}."):
                    name = case.split(".")[1]
                    features[self.product_of.get(about, "")].add(f"{VALIDATOR}:{name}")
        self.happened.products = set(self.product_of.values())
        return self.happened


def _of_validator(data: Json) -> Iterable[str]:
    name = f"{VALIDATOR}.{data['type']}."
    if data["outcome"] != states.SUCCESS:
        return [f"{name}failed"]
    merged = {key for found in _MERGED.findall(data["why"]) for key in found.split(", ")}
    outcomes = [(merged & _ERRORS, "errors"), (merged - _ERRORS, "values"), (not merged, "ok")]
    return [name + outcome for is_so, outcome in outcomes if is_so]
