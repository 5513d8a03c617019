"""Preparations and effects of the actions of usage files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction

from requests_queue import assumptions, clock
from requests_queue.api.resources import format_datetime
from requests_queue.api.schema import Json
from requests_queue.catalog.actors import Actor
from requests_queue.errors import ActionNotAllowed, Invalid, Refused
from requests_queue.queues.base import Context
from requests_queue.queues.usage_file import chunks, leases, publishing, reconciliations, records
from requests_queue.queues.usage_file.models import (
    PROCESSING,
    StoredFile,
    UsageFile,
    UsageRecord,
)
from requests_queue.signals import usage_chunks_created, usage_records_closed


@dataclass(frozen=True, slots=True)
class Content:
    """A spreadsheet as it was sent, checked against the limits."""

    name: str
    content: bytes


def _happened(file: UsageFile, name: str, context: Context) -> Json:
    """Return the file's events with one more."""
    return {**file.events, name: event(context.actor, context.now)}


def event(actor: Actor, now: Any) -> Json:
    """Return `{at, by{id, name}}`."""
    found: Json = {"at": format_datetime(now)}
    if actor.user is not None:
        found["by"] = {"id": actor.user.uid, "name": actor.user.name}
    return found


def _content(context: Context, field: str) -> Content:
    found = context.data.get(field)
    if not isinstance(found, Content):
        raise Invalid(field, "No file was submitted.")
    return found


def upload(file: UsageFile, context: Context) -> Json:
    """Check that there is a spreadsheet, and clear the results of an earlier one."""
    _content(context, "usage_file")
    return {
        **leases.to_process(),
        **records.ZEROS,
        "error_detail": "",
        "rejection_note": "",
        "events": _happened(file, "uploaded", context),
    }


def store_upload(file: UsageFile, context: Context) -> None:
    """Store the upload, delete earlier records, and notify the workers."""
    UsageRecord.objects.filter(file=file).delete()
    StoredFile.objects.filter(file=file).delete()
    content = _content(context, "usage_file")
    StoredFile.store(file, StoredFile.UPLOAD, content.name, content.content, context.now)
    publish_task(file, context)


def publish_task(file: UsageFile, context: Context) -> None:
    """Notify the workers after the commit; errors do not reach the caller."""
    transaction.on_commit(partial(publishing.publish, file.pk), robust=True)


def by_worker(file: UsageFile, context: Context) -> Json:
    """Check that the worker has claimed the file."""
    if file.sub_status != PROCESSING or file.claim != context.data.get("claim"):
        raise ActionNotAllowed(f"{file.pk} is processed by somebody else.")
    columns: Json = context.data.get("columns") or {}
    return columns


def processed(file: UsageFile, context: Context) -> Json:
    """Return the status of a file without invalid rows, as is assumed."""
    return {**by_worker(file, context), "status": assumptions.value("usage_processed")}


def submit(file: UsageFile, context: Context) -> Json:
    """Return the columns of a submitted file."""
    return {"acceptance_note": "", "events": _happened(file, "submitted", context)}


def offer_records(file: UsageFile, context: Context) -> None:
    """Count the records as pending for the distributor."""
    records.recount(file.pk)


def accept(file: UsageFile, context: Context) -> Json:
    """Return the note, which is optional."""
    note = context.data.get("acceptance_note", "")
    return {"acceptance_note": note, "events": _happened(file, "accepted", context)}


def approve_records(file: UsageFile, context: Context) -> None:
    """Approve the records that have no decision."""
    _all_records(file, "valid", "approved")
    chunks.create(file, context.now)
    usage_chunks_created.send(sender=UsageFile, file=file, at=context.now)


def reject(file: UsageFile, context: Context) -> Json:
    """Return the note, which is optional."""
    note = context.data.get("rejection_note", "")
    return {"rejection_note": note, "events": _happened(file, "rejected", context)}


def reject_records(file: UsageFile, context: Context) -> None:
    _all_records(file, "valid", "rejected")
    _all_records(file, "approved", "rejected")


def close(file: UsageFile, context: Context) -> Json:
    """Return the columns of a closed file."""
    return {"events": _happened(file, "closed", context)}


def close_records(file: UsageFile, context: Context) -> None:
    _all_records(
        file,
        "approved",
        "closed",
        closed_at=clock.shown(context.now),
        closed_by=reconciliations.closer(context.actor),
    )
    usage_records_closed.send(sender=UsageFile, file=file, at=context.now)


def delete(file: UsageFile, context: Context) -> Json:
    """Return the columns of a deleted file, whose row is kept."""
    return {
        "events": _happened(file, "deleted", context),
        "sub_status": "",
        "claim": "",
        "lease": None,
    }


def delete_contents(file: UsageFile, context: Context) -> None:
    """Delete its records and contents."""
    UsageRecord.objects.filter(file=file).delete()
    StoredFile.objects.filter(file=file).delete()
    records.recount(file.pk)


def process_again(file: UsageFile, context: Context) -> Json:
    """Check that the upload still exists."""
    if not file.contents.filter(kind=StoredFile.UPLOAD).exists():
        raise Refused("REQ_003", f"{file.pk} has no uploaded file that could be processed.")
    return {**leases.to_process(), **records.ZEROS, "error_detail": ""}


def rewrite(file: UsageFile, context: Context) -> Json:
    """Only the processed file is written anew."""
    return leases.to_process()


def reconcile(file: UsageFile, context: Context) -> Json:
    """Close the records that the spreadsheet bills, and the file with its last record."""
    _content(context, "recon_file")
    reconciliations.close_records(file, context.data["rows"], context)
    if reconciliations.is_done(records.count_records(file.pk)):
        return {"status": "closed", "events": _happened(file, "closed", context)}
    return {}


def store_reconciliation(file: UsageFile, context: Context) -> None:
    content = _content(context, "recon_file")
    StoredFile.store(file, StoredFile.RECONCILIATION, content.name, content.content, context.now)
    reconciliations.create(
        file,
        content.name,
        content.content,
        context.data["rows"],
        event(context.actor, context.now),
        context.data.get("upload_note", ""),
        context.now,
    )
    records.recount(file.pk)
    usage_records_closed.send(sender=UsageFile, file=file, at=context.now)


def _all_records(file: UsageFile, source: str, target: str, **columns: Any) -> None:
    UsageRecord.objects.filter(file=file, status=source).update(status=target, **columns)
    records.recount(file.pk)
