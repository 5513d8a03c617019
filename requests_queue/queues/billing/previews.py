"""Previews of billing requests."""

from __future__ import annotations

from requests_queue.catalog.actors import Actor
from requests_queue.errors import Refused
from requests_queue.queues.base import Preview, PreviewField, SampleRequest
from requests_queue.queues.billing import samples

# Subscriptions that a preview offers at most.
OFFERED = 50


def build_preview(request: SampleRequest) -> Preview:
    """Return the body of `POST /subscriptions/requests`; raises Refused."""
    rows = samples.billable(request.account)
    if request.product is not None:
        rows = rows.filter(product=request.product)
    assets = list(rows[:OFFERED])
    if not assets:
        raise Refused("REQ_003", "No subscription is billed by the period. Order one first.")
    asset = next((row for row in assets if row.pk == request.about), assets[0])
    account = samples.biller(request.kind, asset)
    entries = (
        PreviewField("period.from", "From", "Period", required=True),
        PreviewField("period.to", "To", "Period", required=True),
        PreviewField(f"attributes.{account.type}.reference", "Reference", "Attributes"),
    )
    return Preview(
        samples.request_body(request.kind, asset), Actor(None, account), asset.product, entries,
        about_label="Subscription",
        about=tuple((row.pk, f"{row.customer.name} · {row.product.name}") for row in assets),
        chosen=asset.pk,
    )  # fmt: skip
