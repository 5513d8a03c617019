"""Chunks, reconciliations and aggregates of usage: `GET /usage/chunks/{id}` and so on."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter
from typing import Any, Literal

from requests_queue.api.resources import NAMED, SELF, Constant, Field, Part, Resource, event_at
from requests_queue.api.schema import Json
from requests_queue.catalog.representations import PICTURED
from requests_queue.queues.usage_file.models import Reconciliation, UsageChunk, UsageRecord
from requests_queue.queues.usage_file.representations import (
    FILE_REFERENCE,
    RECORD_ASSET,
    STATS,
    item,
    number,
)
from requests_queue.queues.usage_file.schema import (
    AggregateEvents,
    ErrorDetail,
    FileEvents,
    RecordItem,
)

_EVENTS = ("uploaded", "submitted", "accepted")

_BINDING = Part(
    "Binding",
    "The hub that a part of a file goes to, with what its provider calls it.",
    {"hub": Field(NAMED), "external_id": Field(str, "hub.instance_id", unfiltered=True)},
)


def _events(row: Any) -> Json:
    """Return the moments of a chunk, counted by `chunks.counted`."""
    of_file = {name: row.file.events[name] for name in _EVENTS if name in row.file.events}
    events: Json = {"created": event_at(row.created), **of_file}
    if row.accepted == 0 and row.closed_at is not None:
        events["closed"] = event_at(row.closed_at)
    return events


CHUNK = Resource(
    "UsageChunk",
    "The part of an accepted usage file that goes to one hub.",
    {
        "id": str,
        "status": Field(
            Literal["draft", "ready", "closed", "failed"],
            lambda row: "closed" if row.accepted == 0 else "ready",
        ),
        "outdated": Constant(False, bool),
        "usagefile": Field(replace(FILE_REFERENCE, named=("id",)), "file"),
        "binding": _BINDING,
        "marketplace": Field(PICTURED, "file.marketplace", unfiltered=True),
        "error": Constant({}, ErrorDetail),
        "events": Field(FileEvents, _events),
        "stats": Field(
            replace(
                STATS,
                keys={
                    **STATS.keys,
                    "uploaded": Field(int, "records"),
                    "validated": Field(int, "records"),
                    "pending": Constant(0, int),
                },
            ),
            SELF,
            unfiltered=True,
        ),
        "provider": Field(PICTURED, "file.provider"),
        "external_id": str,
    },
    model=UsageChunk,
    search=("id",),
    also={"status": Field(str, "part_status"), "events.created.at": "created"},
)


# Chunk and hub are left out where its rows are of several.
RECONCILIATION = Resource(
    "Reconciliation",
    "A spreadsheet that closed records of a usage file.",
    {
        "id": str,
        "status": Literal["uploaded", "processing", "processed", "failed"],
        "usagefile": Field(replace(FILE_REFERENCE, named=("id",)), "file"),
        "error": Constant({}, ErrorDetail),
        "notes": Part(
            "Notes",
            "What was said of a reconciliation.",
            {
                "uploaded": Field(str, "upload_note", unfiltered=True),
                "processing": Constant("", str),
            },
        ),
        "events": Field(FileEvents, lambda row: {"created": row.event, "uploaded": row.event}),
        "partusagefile": Field(
            Part(
                "ChunkReference",
                "A chunk, and who bills it.",
                {"id": str, "provider": Field(PICTURED, "file.provider")},
            ),
            "chunk",
            optional=True,
        ),
        "binding": Field(_BINDING, "chunk", optional=True),
    },
    model=Reconciliation,
    search=("id",),
    also={"events.created.at": "created"},
)


# A row of sums, with the item itself. The document's counts are whole numbers: hours in halves
# are rounded.
AGGREGATE = Resource(
    "UsageAggregate",
    "What was used of an item by a subscription.",
    {
        "item": Field(RecordItem, lambda row: item(row["item"])),
        "asset": replace(
            RECORD_ASSET,
            keys={
                "id": Field(str, itemgetter("asset")),
                "external_id": Field(str, itemgetter("asset__external_id")),
                "external_uid": Field(str, itemgetter("asset__external_uid")),
            },
        ),
        "amount": Field(float | None, lambda row: number(row["amount"])),
        "currency": Field(str, itemgetter("file__currency")),
        "consumed": Field(int, lambda row: round(row["consumed"] or 0)),
        "accepted": Field(int, lambda row: round(row["accepted"] or 0)),
        "events": Field(
            AggregateEvents,
            lambda row: {"last_reported": {"at": row["reported"]}} if row["reported"] else {},
        ),
    },
    model=UsageRecord,
    also={
        "asset.id": "asset__id",
        "asset.external_id": "asset__external_id",
        "asset.external_uid": "asset__external_uid",
        "item.id": "item__id",
        "item.local_id": "item__local_id",
        "item.type": "item__type",
        "item.mpn": "item__mpn",
        "currency": "file__currency",
    },
)
