"""Usage files and their records: `GET /usage/files/{id}` and `GET /usage/records/{id}`."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Literal

from requests_queue.api.resources import NAMED, SELF, Constant, Field, Part, Resource
from requests_queue.api.schema import Json, Stamp
from requests_queue.catalog.models import Item
from requests_queue.catalog.representations import PICTURED
from requests_queue.catalog.schema import Environment
from requests_queue.queues.usage_file import links
from requests_queue.queues.usage_file.models import StoredFile, UsageFile, UsageRecord
from requests_queue.queues.usage_file.schema import (
    CellError,
    FileEvents,
    FilePeriod,
    RecordItem,
    Schema,
)

STATS = Part(
    "FileStats",
    "How many records are how far.",
    dict.fromkeys(("uploaded", "validated", "pending", "accepted", "closed", "billed"), int),
)


def _period(row: UsageFile) -> Json:
    ends = {"from": row.period_from, "to": row.period_to}
    return {name: end.isoformat() for name, end in ends.items() if end}


FILE = Resource(
    "UsageFile",
    "A file of usage records.",
    {
        "id": str,
        "name": str,
        "description": str,
        "note": Field(str, unfiltered=True),
        "external_id": str,
        "status": Literal[
            "draft",
            "uploading",
            "uploaded",
            "invalid",
            "processing",
            "ready",
            "rejected",
            "pending",
            "accepted",
            "closed",
            "deleted",
        ],
        "vendor": Field(PICTURED),
        "provider": Field(PICTURED),
        "environment": Environment,
        "marketplace": Field(PICTURED),
        "contract": Field(NAMED),
        "product": Field(PICTURED),
        "schema": Schema,
        "currency": str,
        "period": Field(FilePeriod, _period),
        "error_detail": Field(str, unfiltered=True),
        "acceptance_note": Field(str, unfiltered=True),
        "rejection_note": Field(str, unfiltered=True),
        "stats": Field(STATS, SELF, unfiltered=True),
        "events": Field(FileEvents, unfiltered=True),
    },
    model=UsageFile,
    search=("id", "name"),
    also={
        "created": "created",
        "updated": "updated",
        "created.at": "created",
        "created_at": "created",
        "events.created.at": "created",
        "period.from": "period_from",
        "period.to": "period_to",
        "distribution_contract_id": "contract__id",
        "marketplace_id": "marketplace__id",
        "product_id": "product__id",
        "provider_id": "provider__id",
        "vendor_id": "vendor__id",
    },
)


def _link(kind: str, row: UsageFile) -> str:
    kinds: set[str] = row.stored_kinds  # type: ignore[attr-defined]
    return links.link(row.pk, kind) if kind in kinds else ""


FILE_DETAIL = Part(
    "UsageFileDetail",
    "A file of usage records, with links to its contents that hold for ten minutes.",
    {
        **FILE.keys,
        "sub_status": Field(str | None, lambda row: row.sub_status or None),
        "records": Part(
            "FileRecords",
            "How many records there are of each kind.",
            {
                "valid": Field(int, lambda row: row.validated - row.invalid),
                "invalid": int,
                "closed": int,
            },
        ),
        "usage_file_uri": Field(str, partial(_link, StoredFile.UPLOAD)),
        "processed_file_uri": Field(str, partial(_link, StoredFile.PROCESSED)),
        "reconciliation_file_uri": Field(str, partial(_link, StoredFile.RECONCILIATION)),
    },
)


def detail(row: UsageFile) -> Json:
    """Return a file as `GET /usage/files/{id}` has it, with links to its contents."""
    kinds = set(row.contents.values_list("kind", flat=True))
    row.stored_kinds = kinds  # type: ignore[attr-defined]
    return FILE_DETAIL.represent(row)


FILE_REFERENCE = Part(
    "FileReference",
    "A usage file, as its parts refer to it.",
    {"id": str, "name": str, "schema": Schema, "currency": str},
    named=("id", "schema"),
)


def _item(row: UsageRecord) -> Json:
    """Return the item of a record; of one that wasn't found, how the row names it."""
    return item(row.item) if row.item else {"id": "", "name": row.item_search_value}


_EXTERNAL_ID = Field(str, lambda row: row.asset.external_id if row.asset else "")
_EXTERNAL_UID = Field(str, lambda row: row.asset.external_uid if row.asset else "")
RECORD_ASSET = Part(
    "RecordAsset",
    "The subscription of a record.",
    {
        "id": Field(str, "asset_id", empty=""),
        "external_id": _EXTERNAL_ID,
        "external_uid": _EXTERNAL_UID,
    },
)
RECORD = Resource(
    "UsageRecord",
    "A row of a usage file.",
    {
        "id": str,
        "status": Literal["valid", "invalid", "approved", "rejected", "closed"],
        "start_date": Field(Stamp, optional=True),
        "end_date": Field(Stamp, optional=True),
        "product_id": Field(str, "file.product_id"),
        "item": Field(RecordItem, _item),
        "item_id": Field(str, empty=""),
        "resource_local_id": Field(str, lambda row: row.item.local_id if row.item else ""),
        "asset": RECORD_ASSET,
        "asset_id": Field(str, empty=""),
        "asset_external_id": _EXTERNAL_ID,
        "asset_external_uid": _EXTERNAL_UID,
        "category": str,
        "tier": int | None,
        "amount": Field(float | None, lambda row: number(row.amount)),
        "multiplier": Constant(1, float),
        "usage": Field(float | None, lambda row: number(row.quantity)),
        "params": Field(list[object], unfiltered=True),
        "usagefile": Field(FILE_REFERENCE, "file"),
        "external_billing_id": str,
        "external_billing_note": Field(str, unfiltered=True),
        "closed_at": Stamp | None,
        "closed_by": Field(str | None, lambda row: row.closed_by or None),
    },
    model=UsageRecord,
    search=("id",),
    also={
        "usage_start_time": "start_date",
        "created_time": "file__created",
        "product.id": "file__product__id",
        "product_id": "file__product__id",
        "item.id": "item__id",
        "item_id": "item__id",
        "item.mpn": "item__mpn",
        "asset.id": "asset__id",
        "asset_id": "asset__id",
        "asset.external_id": "asset__external_id",
        "asset_external_id": "asset__external_id",
        "asset.external_uid": "asset__external_uid",
        "asset_external_uid": "asset__external_uid",
        "usage_file": "file__id",
        "usagefile.status": "file__status",
        "hub.id": "asset__connection__hub__id",
        "part_usage_file.hub.id": "asset__connection__hub__id",
    },
)


def item(row: Item) -> Json:
    """Return an item as usage refers to it."""
    return {
        "id": row.id,
        "local_id": row.local_id,
        "name": row.name,
        "unit": str(row.unit.get("title", ""))[:64],
        "mpn": row.mpn,
        "precision": row.precision.lower(),
        "type": row.type.lower(),
    }


def number(value: Decimal | None) -> int | float | None:
    """Return a number as JSON has it, whole where it is."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


# What is wrong with a row, column by column: ours.
INVALID_ROW = Part(
    "InvalidRow",
    "A row that couldn't be read.",
    {"row": int, "record_id": str, "id": str, "errors": list[CellError]},
)
TEMPLATE_LINK = Part(
    "TemplateLink",
    "A link to the workbook that a vendor fills in; it holds for ten minutes.",
    {"template_link": Field(str, SELF)},
)
