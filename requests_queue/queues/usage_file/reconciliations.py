"""Reconciliations: spreadsheets by which a distributor has closed billed records."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from requests_queue import clock, ids
from requests_queue.catalog.actors import DISTRIBUTOR, Actor
from requests_queue.errors import Invalid
from requests_queue.queues.usage_file import reconciling, workbooks
from requests_queue.queues.usage_file.models import (
    Reconciliation,
    UsageChunk,
    UsageFile,
    UsageRecord,
)
from requests_queue.schema import Json

PROCESSED = "processed"


def create(
    file: UsageFile,
    name: str,
    content: bytes,
    rows: reconciling.Rows,
    event: Json,
    note: str,
    now: datetime,
) -> None:
    """Create a reconciliation that has closed records of a file; call with the file locked."""
    Reconciliation.objects.create(
        pk=ids.next_in(file.pk, "UFR-", file.reconciliations.count()),
        file=file,
        chunk=_chunk(file, rows),
        status=PROCESSED,
        name=name,
        content=content,
        upload_note=note,
        event=event,
        created=clock.shown(now),
    )


def _chunk(file: UsageFile, rows: reconciling.Rows) -> UsageChunk | None:
    """Return the chunk that all rows belong to, None where they belong to several."""
    chunks = list(file.chunks.all()[:2])
    if len(chunks) < 2:
        return chunks[0] if chunks else None
    hubs: set[Any] = set()
    for records in _named_records(file.records.all(), rows):
        hubs |= set(records.values_list("asset__connection__hub", flat=True))
    return file.chunks.filter(hub__in=hubs).first() if len(hubs) == 1 else None


def file_of(rows: reconciling.Rows, actor: Actor) -> UsageFile:
    """Return the file whose records the rows name; raises Invalid unless it is exactly one.

    Only accepted files of which the caller is the distributor are searched: by the record's id,
    and where no row has one by the vendor's record id.
    """
    files = UsageFile.objects.filter(provider=actor.account, status="accepted")
    assert actor.account is not None
    if actor.role != DISTRIBUTOR:
        # In the preview environment the vendor is the distributor too.
        files = files.filter(vendor=actor.account)
    searched = UsageRecord.objects.filter(file__in=files)
    for column in ("pk", "record_id"):
        pks: set[str] = set()
        for records in _named_records(searched, rows, column):
            pks |= set(records.values_list("file", flat=True))
        if len(pks) > 1:
            raise Invalid(
                "recon_file", "The rows belong to several usage files. Upload one for each."
            )
        if pks:
            return files.get(pk=pks.pop())
    raise Invalid("recon_file", "No row names a record of an accepted usage file.")


def _named_records(records: Any, rows: reconciling.Rows, *columns: str) -> Any:
    """Yield querysets of the records that the rows name, batch by batch."""
    for start in range(0, len(rows), reconciling.BATCH):
        names = [reconciling.record_name(row) for _, row in rows[start : start + reconciling.BATCH]]
        for column in columns or ("pk", "record_id"):
            yield records.filter(**{f"{column}__in": names})


def results(row: Reconciliation) -> bytes:
    """Return a workbook with the current status of each record that the spreadsheet names."""
    rows = reconciling.read(bytes(row.content))
    by_name: dict[str, tuple[str, str, str]] = {}
    for records in _named_records(UsageRecord.objects.filter(file=row.file_id), rows):
        for pk, record_id, *result in records.values_list(
            "pk", "record_id", "status", "external_billing_id", "external_billing_note"
        ):
            by_name[pk] = by_name[record_id] = tuple(result)
    names = [reconciling.record_name(cells) for _, cells in rows]
    return workbooks.results([[name, *by_name.get(name, ("", "", ""))] for name in names])
