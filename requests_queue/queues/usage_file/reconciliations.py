"""Reconciliations: spreadsheets by which a distributor closes billed records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from requests_queue import clock, ids
from requests_queue.api.schema import Json
from requests_queue.catalog.actors import DISTRIBUTOR, Actor
from requests_queue.catalog.spreadsheets import limits
from requests_queue.errors import FieldError, Invalid
from requests_queue.queues.base import Context
from requests_queue.queues.usage_file import cells, spreadsheet, workbooks
from requests_queue.queues.usage_file.models import (
    Reconciliation,
    UsageChunk,
    UsageFile,
    UsageRecord,
)
from requests_queue.queues.usage_file.spreadsheet import Batch, Cells, Rows

# Errors of a spreadsheet that are listed; the others are counted.
MAX_ERRORS = 20


def closer(actor: Actor) -> str:
    """Return the value of `closed_by`: the user's email address, or the id."""
    user = actor.user
    return "" if user is None else (user.email or user.uid)[:254]


def is_done(counts: Mapping[str, int]) -> bool:
    """Return whether all approved records are closed."""
    return counts["closed"] > 0 and not counts["pending"] and not counts["accepted"]


_COLUMNS = ("record_id", "external_billing_id", "external_billing_note", "status")


def read(content: bytes) -> Rows:
    """Return the rows of a spreadsheet that mark a record as billed; raises Invalid.

    A row does so by an `external_billing_id` or by the status `closed`; where the sheet has
    neither column, every row does.
    """
    try:
        sheet = spreadsheet.read(content, required=("record_id",))
    except limits.Unreadable as error:
        raise Invalid("recon_file", str(error)) from None
    marked = {"external_billing_id", "status"} & set(sheet.header)
    rows = Rows(_COLUMNS)
    for number, row in sheet.rows:
        if not marked or _is_billed(row):
            rows.add(number, [row.get(name) for name in _COLUMNS])
    if not rows:
        raise Invalid("recon_file", "No row of the sheet marks a record as billed.")
    return rows


def close_records(file: UsageFile, rows: Rows, context: Context) -> None:
    """Close the records that the rows name, by Connect's id or the vendor's; raises Invalid."""
    errors: list[FieldError] = []
    for batch in rows.batches():
        errors += _close(file, batch, context)
    if len(errors) > MAX_ERRORS:
        errors[MAX_ERRORS:] = [_error(f"{len(errors) - MAX_ERRORS} more rows.")]
    if errors:
        raise Invalid.of(errors)


def _error(message: str) -> FieldError:
    return FieldError("recon_file", message)


def _is_billed(row: Cells) -> bool:
    billed = row.get("external_billing_id") not in (None, "")
    return billed or str(row.get("status") or "").strip().lower() == "closed"


def _close(file: UsageFile, rows: Batch, context: Context) -> Iterator[FieldError]:
    """Close the records of a batch of rows; yield the errors of the other rows."""
    by_row = {n: record_name(row) for n, row in rows}
    of_file = UsageRecord.objects.filter(file=file).only("record_id", "status")
    records = {r.record_id: r for r in of_file.filter(record_id__in=by_row.values())}
    records |= of_file.in_bulk([pk for pk in by_row.values() if pk not in records])
    billed: list[UsageRecord] = []
    for number, row in rows:
        record = records.get(by_row[number])
        if record is None:
            yield _error(f"Row {number}, record_id: The file has no such record.")
        elif record.status == "closed":
            # Spreadsheets may repeat records that are closed already.
            continue
        elif record.status != "approved":
            yield _error(f"Row {number}, record_id: The record is {record.status}.")
        else:
            try:
                record.external_billing_id = cells.text(row.get("external_billing_id"))
                record.external_billing_note = cells.text(row.get("external_billing_note"), 2000)
                record.status = "closed"
            except cells.CellError as error:
                yield _error(f"Row {number}, external_billing_id: {error.message}")
            else:
                billed.append(record)
    _update(billed, context)


def _update(billed: list[UsageRecord], context: Context) -> None:
    """Store the columns of billed records.

    One prepared statement for all: `bulk_update` takes 2 ms a record, and SQLite blocks other
    writers meanwhile.
    """
    rows = UsageRecord.objects.filter(pk__in=[record.pk for record in billed])
    rows.update(**closed_columns(context.actor, context.now))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {connection.ops.quote_name(UsageRecord._meta.db_table)}"
            " SET external_billing_id = %s, external_billing_note = %s WHERE id = %s",
            [(r.external_billing_id, r.external_billing_note, r.pk) for r in billed],
        )


def record_name(row: Cells) -> str:
    """Return the `record_id` of a row, empty where it is missing or too long."""
    try:
        return cells.text(row.get("record_id"))
    except cells.CellError:
        return ""


def closed_columns(actor: Actor, now: Any) -> dict[str, Any]:
    """Return the columns to write when a record is closed."""
    return {"status": "closed", "closed_at": clock.shown(now), "closed_by": closer(actor)}


PROCESSED = "processed"


def create(
    file: UsageFile,
    name: str,
    content: bytes,
    rows: Rows,
    event: Json,
    note: str,
    now: datetime,
) -> None:
    """Create a reconciliation that has closed records of a file; call with the file locked."""
    Reconciliation.objects.create(
        pk=ids.next_in(Reconciliation, file.pk, "UFR-", file.reconciliations.count()),
        file=file,
        chunk=_chunk(file, rows),
        status=PROCESSED,
        name=name,
        content=content,
        upload_note=note,
        event=event,
        created=clock.shown(now),
    )


def _chunk(file: UsageFile, rows: Rows) -> UsageChunk | None:
    """Return the chunk that all rows belong to, None where they belong to several."""
    chunks = list(file.chunks.all()[:2])
    if len(chunks) < 2:
        return chunks[0] if chunks else None
    hubs: set[Any] = set()
    for batch in rows.batches():
        for records in _named_records(file.records.all(), batch):
            hubs |= set(records.values_list("asset__connection__hub", flat=True))
    return file.chunks.filter(hub__in=hubs).first() if len(hubs) == 1 else None


def file_of(rows: Rows, actor: Actor) -> UsageFile:
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
        for batch in rows.batches():
            for records in _named_records(searched, batch, column):
                pks |= set(records.values_list("file", flat=True))
        if len(pks) > 1:
            raise Invalid(
                "recon_file", "The rows belong to several usage files. Upload one for each."
            )
        if pks:
            return files.get(pk=pks.pop())
    raise Invalid("recon_file", "No row names a record of an accepted usage file.")


def _named_records(records: Any, rows: Batch, *columns: str) -> Any:
    """Yield querysets of the records that the rows name."""
    names = [record_name(row) for _, row in rows]
    for column in columns or ("pk", "record_id"):
        yield records.filter(**{f"{column}__in": names})


def results(row: Reconciliation) -> bytes:
    """Return a workbook with the current status of each record that the spreadsheet names.

    Raises Refused (503) while other spreadsheets are being read.
    """
    with spreadsheet.turn():
        rows = read(bytes(row.content))
    return workbooks.results(_results(row, rows))


def _results(reconciliation: Reconciliation, rows: Rows) -> Iterator[list[str]]:
    of_file = UsageRecord.objects.filter(file=reconciliation.file_id)
    for batch in rows.batches():
        by_name: dict[str, tuple[str, ...]] = {}
        for records in _named_records(of_file, batch):
            for pk, record_id, *result in records.values_list(
                "pk", "record_id", "status", "external_billing_id", "external_billing_note"
            ):
                by_name[pk] = by_name[record_id] = tuple(result)
        for _, row in batch:
            name = record_name(row)
            yield [name, *by_name.get(name, ("", "", ""))]
