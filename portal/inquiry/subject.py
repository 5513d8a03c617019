"""The request that a link of the inquiring form leads to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.utils.crypto import constant_time_compare

from portal.inquiry import values
from portal.inquiry.values import Param
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Parameter
from requests_queue.queues import base, customer_texts, validation
from requests_queue.queues.base import Queue
from requests_queue.queues.validation import Validated

_ID = re.compile(r"[A-Z]{2,4}-[0-9-]{1,36}")


@dataclass
class Subject:
    """A request and the parameters that a customer or a reseller answers."""

    queue: Queue
    about: Validated
    row: Any

    @property
    def actor(self) -> Actor:
        """The actor for the customer: the distributor, without a user."""
        return Actor(None, self.row.provider)

    @property
    def is_open(self) -> bool:
        """Whether the request waits for answers."""
        return bool(self.row.status == "inquiring")

    def open_params(self) -> list[Param]:
        """Return the parameters that the customer may see."""
        return [param for param in self.row.params if values.is_open(param)]

    def facts(self) -> list[tuple[str, str]]:
        """Return facts about the request as (label, text)."""
        row = self.row
        return [
            ("Request", row.pk), ("Type", str(row.type).capitalize()),
            ("Product", row.product.name), ("Vendor", row.vendor.name),
            *self.about.customers(row),
        ]  # fmt: skip

    def closed(self) -> dict[str, str]:
        """Return what to show for a request that does not wait for answers."""
        row = self.row
        customer = self.queue.status(row.status).customer or customer_texts.OTHER
        return {
            "status": row.status,
            "heading": customer.title,
            "sentence": customer.text.format(vendor=row.vendor.name),
            "reason": row.reason if customer.with_reason else "",
            "tone": customer.tone or "plain",
        }

    @cached_property
    def text(self) -> str:
        """The vendor's text for the request in its status, as Markdown."""
        return self.about.text(self.about.get(self.row.pk))

    @cached_property
    def product_rows(self) -> dict[str, Parameter]:
        """The product's parameters by the ids that they have in requests."""
        names = [param["id"] for param in self.row.params]
        rows = Parameter.objects.filter(product=self.row.product_id, name__in=names)
        return {row.name: row for row in rows}


def find(pk: str, codes: list[str]) -> Subject | None:
    """Return the request of a link; None for an unknown request or a wrong code."""
    if not _ID.fullmatch(pk) or len(codes) != 1 or not codes[0].isascii():
        return None
    found = base.find_object(pk)
    if found is None:
        return None
    queue, row = found
    about = validation.find(queue.object_class)
    code = getattr(row, "form_code", "")
    if about is None or not code or not constant_time_compare(codes[0], code):
        return None
    return Subject(queue, about, row)
