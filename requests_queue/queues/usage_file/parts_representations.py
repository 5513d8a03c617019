"""What chunks, reconciliations and aggregates of usage look like in the API.

`GET /usage/chunks/{id}`, `/usage/reconciliations/{id}` and `/usage/aggregates` of Connect's
OpenAPI document.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from requests_queue.catalog.models import Hub, Item
from requests_queue.catalog.representations import account_ref, hub_ref, marketplace_ref
from requests_queue.queues.usage_file.models import Reconciliation, UsageFile
from requests_queue.queues.usage_file.representations import item, number
from requests_queue.resources import event_at
from requests_queue.schema import Json

_EVENTS = ("uploaded", "submitted", "accepted")


def chunk(row: Any) -> Json:
    """Return a chunk as `GET /usage/chunks/{id}` has it, counted by `chunks.counted`."""
    file: UsageFile = row.file
    closed = row.accepted == 0
    events: Json = {"created": event_at(row.created)}
    events |= {name: file.events[name] for name in _EVENTS if name in file.events}
    if closed and row.closed_at is not None:
        events["closed"] = event_at(row.closed_at)
    return {
        "id": row.id,
        "status": "closed" if closed else "ready",
        "outdated": False,
        "usagefile": usage_file(file),
        "binding": binding(row.hub),
        "marketplace": marketplace_ref(file.marketplace),
        "error": {},
        "events": events,
        "stats": {
            "uploaded": row.records,
            "validated": row.records,
            "pending": 0,
            "accepted": row.accepted,
            "closed": row.closed,
            "billed": row.billed,
        },
        "provider": account_ref(file.provider),
        "external_id": row.external_id,
    }


def usage_file(row: UsageFile) -> Json:
    """Return a usage file as a reference."""
    return {"id": row.id, "name": row.name, "schema": row.schema, "currency": row.currency}


def binding(row: Hub) -> Json:
    """Return the hub that a part of a file goes to, with what its provider calls it."""
    return {"hub": hub_ref(row), "external_id": row.instance_id}


def reconciliation(row: Reconciliation) -> Json:
    """Return a reconciliation as `GET /usage/reconciliations/{id}` has it.

    Chunk and hub are left out where its rows are of several.
    """
    found: Json = {
        "id": row.id,
        "status": row.status,
        "usagefile": usage_file(row.file),
        "error": {},
        "notes": {"uploaded": row.upload_note, "processing": ""},
        "events": {"created": row.event, "uploaded": row.event},
    }
    if row.chunk is not None:
        provider = account_ref(row.file.provider)
        found["partusagefile"] = {"id": row.chunk_id, "provider": provider}
        found["binding"] = binding(row.chunk.hub)
    return found


def aggregate(row: Json, of: Item) -> Json:
    """Return what was used of an item by a subscription, from a row of sums.

    The document's counts are whole numbers: hours in halves are rounded.
    """
    return {
        "item": item(of),
        "asset": {
            "id": row["asset"],
            "external_id": row["asset__external_id"],
            "external_uid": row["asset__external_uid"],
        },
        "amount": number(row["amount"]),
        "currency": row["file__currency"],
        "consumed": _whole(row["consumed"]),
        "accepted": _whole(row["accepted"]),
        "events": {"last_reported": {"at": row["reported"]}} if row["reported"] else {},
    }


def _whole(value: Decimal | None) -> int:
    return round(value or 0)
