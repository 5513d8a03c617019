"""Previews of fulfillment requests."""

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
# Subscriptions that a preview offers at most, the newest first.
OFFERED = 50
_NOTE = PreviewField("note", "Note", "Order")


def build_preview(request: SampleRequest) -> Preview:
    """Return the body of `POST /requests`; raises Refused."""
    types = tuple(request_types.DRAFT_CAPABILITY) if request.draft else request_types.TYPES
    if request.kind not in types:
        raise Invalid("type", f'"{request.kind}" is not one of {", ".join(types)}.')
    return _purchase(request) if request.kind == "purchase" else _about_asset(request)


def _purchase(request: SampleRequest) -> Preview:
    connection = samples.connection_for(
        request.product, "purchase", request.account, draft=request.draft
    )
    status = samples.draft_status("purchase", connection.product) if request.draft else {}
    body = samples.purchase_body(connection) | status
    ordered = connection.product.items.all()[:2]
    blank = [p for p in parameter_values.blank(connection.product) if p["phase"] == "ordering"]
    entries = [_quantity(n, row.name, row.local_id) for n, row in enumerate(ordered)]
    entries.append(PreviewField("asset.external_id", "External ID", "Order"))
    entries += company_fields("asset.tiers.customer", "Customer")
    return Preview(
        body, Actor(None, connection.provider), connection.product, (*entries, _NOTE),
        tuple(_filled(p) for p in blank),
        "asset.params",
    )  # fmt: skip


def _quantity(index: int, name: str, local_id: str, current: str = "") -> PreviewField:
    label = f"{name} (now {current})" if current else name
    path = f"asset.items.{index}.quantity"
    return PreviewField(path, label, "Quantities", "number", required=True, word=local_id)


def _filled(param: Json) -> Json:
    """Return a copy of a parameter with a sample value."""
    filled = dict(param)
    parameter_values.set_value(filled, sample_values.fill(param, f"sample {param['id']}"))
    return filled


def _about_asset(request: SampleRequest) -> Preview:
    assets = list(_free(request))
    asset = next((row for row in assets if row.pk == request.about), assets[0] if assets else None)
    if asset is None:
        statuses = " or ".join(request_types.NEEDS_ASSET[request.kind])
        raise Refused(
            "REQ_003",
            f"There is no subscription for a {request.kind} request. It must be {statuses} and "
            "have no open request.",
        )
    status = samples.draft_status(request.kind, asset.product) if request.draft else {}
    body = samples.body_about(request.kind, asset) | status
    counted = [item for item in asset.items if item["item_type"] != "PPU"]
    entries = [
        _quantity(n, item["display_name"], item["id"], item["quantity"])
        for n, item in enumerate(counted if "items" in body["asset"] else [])
    ]
    # Vendors and distributors create adjustments; only distributors create other requests.
    account = request.account if request.kind == "adjustment" else asset.connection.provider
    phases = () if request.kind in ("suspend", "resume", "cancel") else _phases(account)
    return Preview(
        body, Actor(None, account), asset.product, (*entries, _NOTE),
        tuple(p for p in asset.params if p["phase"] in phases), "asset.params",
        "Subscription", tuple((row.pk, f"{row.customer.name} · {row.pk}") for row in assets),
        asset.pk,
    )  # fmt: skip


def _phases(account: Account) -> tuple[str, ...]:
    return ("ordering", "fulfillment") if account.is_vendor else ("ordering",)


def _free(request: SampleRequest) -> QuerySet[Asset]:
    """Return the subscriptions of the account that allow a request of the type."""
    party = "vendor" if request.account.is_vendor else "provider"
    rows = Asset.objects.filter(
        status__in=request_types.NEEDS_ASSET[request.kind],
        **{f"connection__{party}": request.account},
    ).exclude(requests__status__in=OPEN)
    if request.product is not None:
        rows = rows.filter(product=request.product)
    related = rows.select_related("product", "customer", "connection__provider")
    return related.order_by("-created", "pk")[:OFFERED]
