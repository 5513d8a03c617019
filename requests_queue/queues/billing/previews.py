"""What a sample of a billing request would be, to be changed before it is created."""

from __future__ import annotations

from requests_queue.catalog.actors import Actor
from requests_queue.errors import Refused
from requests_queue.queues.base import Preview, PreviewField, SampleRequest
from requests_queue.queues.billing import samples

# Of more subscriptions the first are offered.
OFFERED = 50


def build_preview(wish: SampleRequest) -> Preview:
    """Return what `POST /subscriptions/requests` would be sent; raises Refused."""
    rows = samples.billable(wish.account)
    if wish.product is not None:
        rows = rows.filter(product=wish.product)
    found = list(rows[:OFFERED])
    if not found:
        raise Refused("REQ_003", "No subscription is billed by the period: order one first.")
    asset = next((row for row in found if row.pk == wish.about), found[0])
    side = samples.side_of(wish.kind, asset)
    entries = (
        PreviewField("period.from", "From", "Period", required=True),
        PreviewField("period.to", "To", "Period", required=True),
        PreviewField(f"attributes.{side.type}.reference", "Reference", "Attributes"),
    )
    return Preview(
        samples.body_of(wish.kind, asset), Actor(None, side), asset.product, entries,
        about_label="Subscription",
        about=tuple((row.pk, f"{row.customer.name} · {row.product.name}") for row in found),
        chosen=asset.pk,
    )  # fmt: skip
