"""Sample usage files: created, filled with usage, uploaded and processed."""

from __future__ import annotations

from datetime import timedelta

from requests_queue import clock
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Account, Asset, Item, Product
from requests_queue.errors import Refused
from requests_queue.queues import sampling, transitions
from requests_queue.queues.usage_file import columns, creation, processing, workbooks
from requests_queue.queues.usage_file.effects import Content
from requests_queue.queues.usage_file.models import UsageFile

_SUBSCRIPTIONS = 5


def create_sample(kind: str, product: Product | None, account: Account | None = None) -> UsageFile:
    """Create a ready file with last month's usage of a product (None: any that fits).

    Raises Refused where no active subscription of such a product has items.
    """
    assets = Asset.objects.filter(
        status="active", product__items__isnull=False, **visibility.party(account, "connection__")
    )
    assets = sampling.of_product(assets, product)
    # Prefer a product with pay-as-you-go items.
    first = (
        assets.filter(product__items__type="PPU").order_by("pk").first()
        or assets.order_by("pk").first()
    )
    if first is None:
        raise Refused("REQ_003", "No active subscription of such a product has items.")
    vendor = sampling.with_user(first.product.owner)
    month_end = clock.shown(clock.now()).replace(day=1, hour=0, minute=0, second=0)
    last = month_end - timedelta(days=1)
    body = {
        "name": f"Usage of {last:%B %Y}",
        "description": f"What customers of {first.product.name} have used.",
        "product": {"id": first.product_id},
        "contract": {"id": first.contract_id},
        "period": {"from": f"{last:%Y-%m-01}", "to": f"{last:%Y-%m-%d}"},
        "external_id": f"{last:%Y-%m}-{first.product_id}",
    }
    file = creation.create(body, vendor)
    used = assets.filter(product=first.product_id, contract=first.contract_id).distinct()
    content = build_spreadsheet(
        list(used.order_by("pk")[:_SUBSCRIPTIONS]), f"{last:%Y-%m}", last.day
    )
    transitions.move(
        UsageFile, file.pk, "upload", vendor, {"usage_file": Content("usage.xlsx", content)}
    )
    processing.run(file.pk)
    return UsageFile.objects.get(pk=file.pk)


def build_spreadsheet(assets: list[Asset], month: str, days: int) -> bytes:
    """Return a workbook with one record of each subscription, all of the same product."""
    categories = [list(columns.CATEGORY), ["general", "General usage", "All that is counted"]]
    rows = build_rows(assets, month, days)
    return workbooks.build({columns.SHEETS[0]: rows, columns.CATEGORIES: categories})


def build_rows(assets: list[Asset], month: str, days: int) -> list[workbooks.Row]:
    """Return the rows of the sheet of records, with its header."""
    items = Item.objects.filter(product=assets[0].product_id)
    item = items.filter(type="PPU").first() or items.first()
    if item is None:
        raise Refused("REQ_003", "The product has no items.")
    rows: list[workbooks.Row] = [list(columns.RECORD)]
    for number, asset in enumerate(assets, 1):
        cells = {
            "record_id": f"{month}-{asset.pk}",
            "record_note": f"Counted daily in {month}",
            "item_search_criteria": "item.mpn",
            "item_search_value": item.mpn,
            "quantity": number * 12,
            "start_time_utc": f"{month}-01 00:00:00",
            "end_time_utc": f"{month}-{days:02d} 23:59:59",
            "asset_search_criteria": "asset.id",
            "asset_search_value": asset.pk,
            "category_id": "general",
            "amount": number * 12 * 2,
            "tier": 0,
        }
        rows.append([cells.get(name) for name in columns.RECORD])
    return rows
