"""What a sample of a fulfillment request would be, to be changed before it is created."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from requests_queue import sample_values
from requests_queue.catalog import parameter_values
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Asset
from requests_queue.errors import Invalid, Refused
from requests_queue.queues.base import Preview, PreviewField, SampleRequest
from requests_queue.queues.fulfillment import request_types, samples
from requests_queue.queues.fulfillment.models import OPEN
from requests_queue.queues.preview_fields import company_fields

Json = dict[str, Any]
# Of more subscriptions the newest are offered.
OFFERED = 50
_NOTE = PreviewField("note", "Note", "Order")


def build_preview(wish: SampleRequest) -> Preview:
    """Return what `POST /requests` would be sent; raises Refused."""
    types = tuple(request_types.DRAFT_CAPABILITY) if wish.draft else request_types.TYPES
    if wish.kind not in types:
        raise Invalid("type", f'"{wish.kind}" is not one of {", ".join(types)}.')
    return _purchase(wish) if wish.kind == "purchase" else _on_asset(wish)


def _purchase(wish: SampleRequest) -> Preview:
    connection = samples.connection_for(wish.product, "purchase", wish.account, draft=wish.draft)
    status = samples.draft_status("purchase", connection.product) if wish.draft else {}
    body = samples.purchase(connection) | status
    ordered = connection.product.items.all()[:2]
    blank = [p for p in parameter_values.blank(connection.product) if p["phase"] == "ordering"]
    entries = [_quantity(n, row.name, row.local_id) for n, row in enumerate(ordered)]
    entries.append(PreviewField("asset.external_id", "External ID", "Order"))
    entries += company_fields("asset.tiers.customer", "Customer")
    return Preview(
        body, Actor(None, connection.provider), connection.product, (*entries, _NOTE),
        tuple(_proposed(p) for p in blank),
        "asset.params",
    )  # fmt: skip


def _quantity(place: int, name: str, local_id: str, held: str = "") -> PreviewField:
    label = f"{name} (now {held})" if held else name
    path = f"asset.items.{place}.quantity"
    return PreviewField(path, label, "Quantities", "number", required=True, word=local_id)


def _proposed(param: Json) -> Json:
    """Return a parameter with a plausible value."""
    filled = dict(param)
    parameter_values.set_value(filled, sample_values.fill(param, f"sample {param['id']}"))
    return filled


def _on_asset(wish: SampleRequest) -> Preview:
    found = list(_free(wish))
    asset = next((row for row in found if row.pk == wish.about), found[0] if found else None)
    if asset is None:
        statuses = " or ".join(request_types.NEEDS_ASSET[wish.kind])
        raise Refused(
            "REQ_003",
            f"A {wish.kind} request needs a subscription that is {statuses} and has no open "
            f"request: there is none.",
        )
    status = samples.draft_status(wish.kind, asset.product) if wish.draft else {}
    body = samples.on_asset(wish.kind, asset) | status
    counted = [item for item in asset.items if item["item_type"] != "PPU"]
    entries = [
        _quantity(n, item["display_name"], item["id"], item["quantity"])
        for n, item in enumerate(counted if "items" in body["asset"] else [])
    ]
    # An adjustment is either side's; all else is ordered.
    maker = wish.account if wish.kind == "adjustment" else asset.connection.provider
    phases = () if wish.kind in ("suspend", "resume", "cancel") else _phases(maker)
    return Preview(
        body, Actor(None, maker), asset.product, (*entries, _NOTE),
        tuple(p for p in asset.params if p["phase"] in phases), "asset.params",
        "Subscription", tuple((row.pk, f"{row.customer.name} · {row.pk}") for row in found),
        asset.pk,
    )  # fmt: skip


def _phases(maker: Account) -> tuple[str, ...]:
    return ("ordering", "fulfillment") if maker.is_vendor else ("ordering",)


def _free(wish: SampleRequest) -> QuerySet[Asset]:
    """Return the subscriptions of the account that a request of the type could be about."""
    side = "vendor" if wish.account.is_vendor else "provider"
    rows = Asset.objects.filter(
        status__in=request_types.NEEDS_ASSET[wish.kind], **{f"connection__{side}": wish.account}
    ).exclude(requests__status__in=OPEN)
    if wish.product is not None:
        rows = rows.filter(product=wish.product)
    related = rows.select_related("product", "customer", "connection__provider")
    return related.order_by("-created", "pk")[:OFFERED]
