"""Reconciliations: each spreadsheet by which a distributor said what is billed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from requests_queue import clock, ids
from requests_queue.catalog.actors import DISTRIBUTOR, Actor
from requests_queue.errors import Invalid
from requests_queue.queues.usage_file import reconciling, writing
from requests_queue.queues.usage_file.models import (
    Reconciliation,
    UsageChunk,
    UsageFile,
    UsageRecord,
)
from requests_queue.schema import Json

PROCESSED = "processed"


def keep(
    file: UsageFile,
    name: str,
    content: bytes,
    rows: reconciling.Rows,
    event: Json,
    note: str,
    now: datetime,
) -> None:
    """Add a reconciliation that has closed records of a file; call with the file locked."""
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
    """Return the chunk that all rows are of, None where they are of several."""
    chunks = list(file.chunks.all()[:2])
    if len(chunks) < 2:
        return chunks[0] if chunks else None
    hubs: set[Any] = set()
    for records in _named(file.records.all(), rows):
        hubs |= set(records.values_list("asset__connection__hub", flat=True))
    return file.chunks.filter(hub__in=hubs).first() if len(hubs) == 1 else None


def file_of(rows: reconciling.Rows, actor: Actor) -> UsageFile:
    """Return the file that the rows name records of; raises Invalid where it isn't one.

    Records are looked for in accepted files of which the caller is the distributor: by Connect's
    identifier, or where no row has one by the vendor's.
    """
    files = UsageFile.objects.filter(provider=actor.account, status="accepted")
    assert actor.account is not None
    if actor.role != DISTRIBUTOR:
        # In the preview environment the vendor is the distributor too.
        files = files.filter(vendor=actor.account)
    mine = UsageRecord.objects.filter(file__in=files)
    for column in ("pk", "record_id"):
        found: set[str] = set()
        for records in _named(mine, rows, column):
            found |= set(records.values_list("file", flat=True))
        if len(found) > 1:
            raise Invalid("recon_file", "The rows are of several usage files: send one at a time.")
        if found:
            return files.get(pk=found.pop())
    raise Invalid("recon_file", "No row names a record of a usage file that is accepted.")


def _named(records: Any, rows: reconciling.Rows, *columns: str) -> Any:
    """Yield the records that the rows name, batch by batch."""
    for start in range(0, len(rows), reconciling.BATCH):
        names = [reconciling.named(row) for _, row in rows[start : start + reconciling.BATCH]]
        for column in columns or ("pk", "record_id"):
            yield records.filter(**{f"{column}__in": names})


def results(row: Reconciliation) -> bytes:
    """Return what became of each record that the spreadsheet names, as a workbook."""
    rows = reconciling.read(bytes(row.content))
    known: dict[str, tuple[str, str, str]] = {}
    for records in _named(UsageRecord.objects.filter(file=row.file_id), rows):
        for pk, record_id, *result in records.values_list(
            "pk", "record_id", "status", "external_billing_id", "external_billing_note"
        ):
            known[pk] = known[record_id] = tuple(result)
    names = [reconciling.named(cells) for _, cells in rows]
    return writing.results([[name, *known.get(name, ("", "", ""))] for name in names])
