"""Records are closed once they are billed: one by one, in bulk, or by a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import connection

from requests_queue import clock
from requests_queue.catalog.actors import Actor
from requests_queue.errors import FieldError, Invalid
from requests_queue.queues.base import Context
from requests_queue.queues.usage_file import cells, limits, spreadsheet
from requests_queue.queues.usage_file.models import UsageFile, UsageRecord
from requests_queue.queues.usage_file.spool import Cells

# Errors of a spreadsheet that are said one by one.
SAID = 20
BATCH = 500


def closer(actor: Actor) -> str:
    """Return who closes, by the address that Connect shows, or the id."""
    user = actor.user
    return "" if user is None else (user.email or user.uid)[:254]


def is_done(counts: Mapping[str, int]) -> bool:
    """Whether every record that was approved is closed."""
    return counts["closed"] > 0 and not counts["pending"] and not counts["accepted"]


_READ = ("record_id", "external_billing_id", "external_billing_note", "status")
Rows = list[tuple[int, Cells]]


def read(content: bytes) -> Rows:
    """Return the rows of a spreadsheet that say that a record is billed; raises Invalid.

    A row counts that has an `external_billing_id`, or `closed` as its status; of a sheet with
    neither column every row.
    """
    try:
        sheet = spreadsheet.read(content, required=("record_id",))
    except limits.Unreadable as error:
        raise Invalid("recon_file", str(error)) from None
    marked = {"external_billing_id", "status"} & set(sheet.header)
    # Of a processed file that comes back most columns are of no use here.
    rows = [
        (n, {name: row[name] for name in _READ if name in row})
        for n, row in sheet.rows
        if not marked or _counts(row)
    ]
    if not rows:
        raise Invalid("recon_file", "No row of the sheet says that a record is billed.")
    return rows


def close_by(file: UsageFile, rows: Rows, context: Context) -> None:
    """Close the records that the rows name, by Connect's id or the vendor's; raises Invalid."""
    errors: list[FieldError] = []
    for start in range(0, len(rows), BATCH):
        errors += _close(file, rows[start : start + BATCH], context)
    if errors:
        more = [_wrong(f"{len(errors) - SAID} more rows.")] if len(errors) > SAID else []
        raise Invalid.of([*errors[:SAID], *more])


def _wrong(message: str) -> FieldError:
    return FieldError("recon_file", message)


def _counts(row: Cells) -> bool:
    billed = row.get("external_billing_id") not in (None, "")
    return billed or str(row.get("status") or "").strip().lower() == "closed"


def _close(file: UsageFile, rows: Rows, context: Context) -> Iterator[FieldError]:
    """Close the records of a batch of rows; yield what is wrong with others."""
    by_row = {n: named(row) for n, row in rows}
    of_file = UsageRecord.objects.filter(file=file).only("record_id", "status")
    found = {r.record_id: r for r in of_file.filter(record_id__in=by_row.values())}
    found |= of_file.in_bulk([pk for pk in by_row.values() if pk not in found])
    done: list[UsageRecord] = []
    for number, row in rows:
        record = found.get(by_row[number])
        if record is None:
            yield _wrong(f"Row {number}, record_id: The file has no such record.")
        elif record.status == "closed":
            # A spreadsheet may repeat what is closed already.
            continue
        elif record.status != "approved":
            yield _wrong(f"Row {number}, record_id: The record is {record.status}.")
        else:
            try:
                _bill(record, row)
            except cells.Wrong as wrong:
                yield _wrong(f"Row {number}, external_billing_id: {wrong.message}")
            else:
                done.append(record)
    _write(done, context)


def _write(done: list[UsageRecord], context: Context) -> None:
    """Write what the records are billed by, one prepared statement for all: `bulk_update` takes
    two milliseconds a record, in which SQLite lets nobody else write."""
    rows = UsageRecord.objects.filter(pk__in=[record.pk for record in done])
    rows.update(**closed(context.actor, context.now))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {connection.ops.quote_name(UsageRecord._meta.db_table)}"
            " SET external_billing_id = %s, external_billing_note = %s WHERE id = %s",
            [(r.external_billing_id, r.external_billing_note, r.pk) for r in done],
        )


def named(row: Cells) -> str:
    """Return how a row names its record, empty where it doesn't."""
    try:
        return cells.text(row.get("record_id"))
    except cells.Wrong:
        return ""


def _bill(record: UsageRecord, row: Cells) -> None:
    billed_by = cells.text(row.get("external_billing_id"))
    record.external_billing_note = cells.text(row.get("external_billing_note"), 2000)
    record.external_billing_id, record.status = billed_by, "closed"


def closed(actor: Actor, now: Any) -> dict[str, Any]:
    """Return the columns of a record that is closed."""
    return {"status": "closed", "closed_at": clock.shown(now), "closed_by": closer(actor)}
