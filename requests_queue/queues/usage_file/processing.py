"""Processing of usage files by workers: read the upload into records, write the processed file.

Each batch is a transaction of its own that renews the lease and stores the progress, so that a
large file does not block others. When a worker dies, another one starts from the beginning as
soon as the lease has expired.
"""

from __future__ import annotations

import logging
from functools import partial

from django.db import transaction

from requests_queue import clock
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account
from requests_queue.catalog.spreadsheets import limits
from requests_queue.db import database_limits
from requests_queue.errors import Refused
from requests_queue.queues import transitions
from requests_queue.queues.usage_file import leases, records, spreadsheet, workbooks
from requests_queue.queues.usage_file.checking import Checker
from requests_queue.queues.usage_file.leases import LostClaim
from requests_queue.queues.usage_file.models import StoredFile, UsageFile, UsageRecord

logger = logging.getLogger(__name__)

ATTEMPTS = 3
# Statuses of a file whose upload has not been read yet.
UNREAD = ("uploading", "processing")


def is_pending(pk: str, account: Account) -> bool:
    """Return whether a worker reads, or shall read, the upload of a file that the account sees."""
    files = UsageFile.visible_to(account).filter(pk=pk)
    return files.filter(status__in=UNREAD, lease__isnull=False).exists()


def run(pk: str) -> None:
    """Process a file, unless another worker has claimed it or it is done."""
    token = leases.claim(pk)
    if token is None:
        return
    # Some statements concern all records of a file, which take longer than the limits allow.
    with database_limits.lifted():
        _run(pk, token)


def _run(pk: str, token: str) -> None:
    try:
        file = UsageFile.objects.select_related("product", "marketplace", "contract").get(pk=pk)
        if file.status in UNREAD:
            _read(file, token)
        else:
            # The statuses of its records have changed.
            content = _processed_file(file, token) if file.attempts <= ATTEMPTS else None
            with transaction.atomic():
                if content is not None:
                    _store(file, content)
                leases.release(file.pk, token)
    except LostClaim:
        logger.info("Another worker processes %s.", pk)
    except Exception:
        # Retried when the lease expires, up to ATTEMPTS times.
        logger.exception("Processing %s failed.", pk)


def _read(file: UsageFile, token: str) -> None:
    """Read the upload into records; the file becomes ready (or uploaded) or invalid."""
    if file.status == "uploading":
        file = _run_action(file, token, "process")
    if file.attempts > ATTEMPTS:
        _invalidate(file, token, f"Processing failed {ATTEMPTS} times. Upload the file again.")
        return
    with transaction.atomic():
        leases.renew(file.pk, token)
        UsageRecord.objects.filter(file=file).delete()
    try:
        sheet = _sheet(file, token)
    except limits.Unreadable as error:
        _invalidate(file, token, str(error))
        return
    leases.renew(file.pk, token, **records.ZEROS | {"uploaded": len(sheet.rows)})
    checker = Checker(file, sheet.categories)
    validated = 0
    for batch in sheet.rows.batches():
        validated += len(batch)
        checked = checker.check(batch)
        with transaction.atomic():
            leases.renew(file.pk, token, validated=validated)
            UsageRecord.objects.bulk_create(checked)
    content = _processed_file(file, token)
    detail = _error_summary(file)
    with transitions.atomic():
        _store(file, content)
        records.recount(file.pk)
        _run_action(file, token, "invalidate" if detail else "ready", error_detail=detail)
        leases.release(file.pk, token)


def _sheet(file: UsageFile, token: str) -> spreadsheet.Sheet:
    """Return the content of the upload; raises Unreadable, LostClaim."""
    renew = partial(leases.renew, file.pk, token)
    with spreadsheet.turn(renew):
        upload = StoredFile.objects.filter(file=file, kind=StoredFile.UPLOAD).first()
        if upload is None:
            raise limits.Unreadable("The uploaded file is missing. Upload it again.")
        sheet = spreadsheet.read(bytes(upload.content), renew=renew)
    if not sheet.rows:
        raise limits.Unreadable("The sheet has no records.")
    return sheet


@transitions.atomic()
def _invalidate(file: UsageFile, token: str, detail: str) -> None:
    """Make a file invalid whose upload as a whole cannot be read."""
    UsageRecord.objects.filter(file=file).delete()
    StoredFile.objects.filter(file=file, kind=StoredFile.PROCESSED).delete()
    records.recount(file.pk)
    _run_action(file, token, "invalidate", error_detail=_truncate(detail))
    leases.release(file.pk, token)


def _processed_file(file: UsageFile, token: str) -> bytes:
    return workbooks.processed_file(file, partial(leases.renew, file.pk, token))


def _store(file: UsageFile, content: bytes) -> None:
    name = f"{file.pk}-processed.xlsx"
    StoredFile.store(file, StoredFile.PROCESSED, name, content, clock.now())


def _run_action(file: UsageFile, token: str, name: str, **columns: str) -> UsageFile:
    try:
        changed: UsageFile = transitions.move(
            UsageFile, file.pk, name, Actor(), {"claim": token, "columns": columns}
        )
    except Refused as refused:
        raise LostClaim(str(refused)) from None
    return changed


def _error_summary(file: UsageFile) -> str:
    """Return the number of invalid rows and the first error, empty where all are valid."""
    invalid = UsageRecord.objects.filter(file=file, status="invalid")
    count, first = invalid.count(), invalid.order_by("row").first()
    if first is None:
        return ""
    error = first.errors[0]
    rows = f"{count} row{'s are' if count > 1 else ' is'} invalid"
    return _truncate(f"{rows}. Row {first.row}, {error['column']}: {error['message']}")


def _truncate(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"
