"""What a usage file and its records look like in the API.

`GET /usage/files/{id}` and `GET /usage/records/{id}` of Connect's OpenAPI document.
"""

from __future__ import annotations

from decimal import Decimal

from requests_queue.catalog.models import Item
from requests_queue.catalog.representations import account_ref, marketplace_ref, product_ref
from requests_queue.queues.usage_file import links
from requests_queue.queues.usage_file.models import StoredFile, UsageFile, UsageRecord
from requests_queue.resources import format_datetime
from requests_queue.schema import Json


def in_list(row: UsageFile) -> Json:
    """Return a file as `GET /usage/files` lists it: without links."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "note": row.note,
        "external_id": row.external_id,
        "status": row.status,
        "vendor": account_ref(row.vendor),
        "provider": account_ref(row.provider),
        "environment": row.environment,
        "marketplace": marketplace_ref(row.marketplace),
        "contract": {"id": row.contract_id, "name": row.contract.name},
        "product": product_ref(row.product),
        "schema": row.schema,
        "currency": row.currency,
        "period": _period(row),
        "error_detail": row.error_detail,
        "acceptance_note": row.acceptance_note,
        "rejection_note": row.rejection_note,
        "stats": {
            "uploaded": row.uploaded,
            "validated": row.validated,
            "pending": row.pending,
            "accepted": row.accepted,
            "closed": row.closed,
            "billed": row.billed,
        },
        "events": row.events,
    }


def _period(row: UsageFile) -> Json:
    ends = {"from": row.period_from, "to": row.period_to}
    return {name: end.isoformat() for name, end in ends.items() if end}


def detail(row: UsageFile) -> Json:
    """Return a file as `GET /usage/files/{id}` has it, with links to its contents."""
    kinds = set(row.contents.values_list("kind", flat=True))
    return {
        **in_list(row),
        "sub_status": row.sub_status or None,
        "records": {
            "valid": row.validated - row.invalid,
            "invalid": row.invalid,
            "closed": row.closed,
        },
        **{
            f"{kind}_file_uri": links.to_content(row.pk, kind) if kind in kinds else ""
            for kind in (StoredFile.UPLOAD, StoredFile.PROCESSED, StoredFile.RECONCILIATION)
        },
    }


def record(row: UsageRecord) -> Json:
    """Return a record as `GET /usage/records/{id}` has it."""
    file, asset = row.file, row.asset
    moments = {"start_date": row.start_date, "end_date": row.end_date}
    external_id = asset.external_id if asset else ""
    external_uid = asset.external_uid if asset else ""
    return {
        "id": row.id,
        "status": row.status,
        **{name: format_datetime(moment) for name, moment in moments.items() if moment},
        "product_id": file.product_id,
        "item": _item(row.item, row),
        "item_id": row.item_id or "",
        "resource_local_id": row.item.local_id if row.item else "",
        "asset": {
            "id": row.asset_id or "",
            "external_id": external_id,
            "external_uid": external_uid,
        },
        "asset_id": row.asset_id or "",
        "asset_external_id": external_id,
        "asset_external_uid": external_uid,
        "category": row.category,
        "tier": row.tier,
        "amount": number(row.amount),
        "multiplier": 1,
        "usage": number(row.quantity),
        "params": row.params,
        "usagefile": {
            "id": file.id,
            "name": file.name,
            "schema": file.schema,
            "currency": file.currency,
        },
        "external_billing_id": row.external_billing_id,
        "external_billing_note": row.external_billing_note,
        "closed_at": format_datetime(row.closed_at),
        "closed_by": row.closed_by or None,
    }


def _item(of: Item | None, row: UsageRecord) -> Json:
    """Return the item of a record; of one that wasn't found, how the row names it."""
    return {"id": "", "name": row.item_search_value} if of is None else item(of)


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


def errors(row: UsageRecord) -> Json:
    """Return what is wrong with an invalid row, column by column (ours)."""
    return {"row": row.row, "record_id": row.record_id, "id": row.id, "errors": row.errors}


def link(url: str) -> Json:
    """Return a template's link as `GET /usage/products/{id}/template` has it."""
    return {"template_link": url}
