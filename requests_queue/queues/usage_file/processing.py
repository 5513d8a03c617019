"""A worker processes a file: reads its upload into records, writes the processed file.

Each batch commits by itself, with the lease and the progress, so that nobody waits for a large
file and a lost worker costs a minute. The next one starts from the beginning.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from django.db import transaction

from requests_queue import clock, database_limits, transitions
from requests_queue.catalog.actors import Actor
from requests_queue.errors import Refused
from requests_queue.queues.usage_file import counting, leases, limits, spreadsheet, writing
from requests_queue.queues.usage_file.checking import Checker
from requests_queue.queues.usage_file.leases import LostClaim
from requests_queue.queues.usage_file.models import StoredFile, UsageFile, UsageRecord
from requests_queue.queues.usage_file.spool import Cells

logger = logging.getLogger(__name__)

BATCH = 500
ATTEMPTS = 3
# Statuses of a file whose upload is still to be read.
UNREAD = ("uploading", "processing")


def run(pk: str) -> None:
    """Process a file that wants it, unless another worker does."""
    token = leases.take(pk)
    if token is None:
        return
    # A file has half a million records, and some statements are about all of them.
    with database_limits.lifted():
        _run(pk, token)


def _run(pk: str, token: str) -> None:
    try:
        file = UsageFile.objects.select_related("product", "marketplace", "contract").get(pk=pk)
        if file.status in UNREAD:
            _read(file, token)
        else:
            _rewrite(file, token)
    except LostClaim:
        logger.info("%s is processed by somebody else.", pk)
    except Exception:
        # It is tried again when the lease has run out; three times is enough.
        logger.exception("%s could not be processed.", pk)


def _read(file: UsageFile, token: str) -> None:
    """Read the upload into records; the file ends ready (or uploaded) or invalid."""
    if file.status == "uploading":
        file = _move(file, token, "process")
    if file.attempts > ATTEMPTS:
        _invalidate(file, token, "The file could not be processed: its workers failed.")
        return
    with transaction.atomic():
        leases.keep(file.pk, token)
        UsageRecord.objects.filter(file=file).delete()
    upload = StoredFile.objects.filter(file=file, kind=StoredFile.UPLOAD).first()
    try:
        if upload is None:
            raise limits.Unreadable("There is no uploaded file.")
        sheet = spreadsheet.read(bytes(upload.content), alive=lambda: leases.keep(file.pk, token))
        if not sheet.rows:
            raise limits.Unreadable("The sheet has no records.")
    except limits.Unreadable as error:
        _invalidate(file, token, str(error))
        return
    leases.keep(file.pk, token, **counting.NOTHING | {"uploaded": len(sheet.rows)})
    checker = Checker(file, sheet.categories)
    for done, batch in _batches(sheet.rows):
        records = checker.check(batch)
        with transaction.atomic():
            leases.keep(file.pk, token, validated=done)
            UsageRecord.objects.bulk_create(records)
    _finish(file, token)


def _batches(rows: Iterable[tuple[int, Cells]]) -> Iterator[tuple[int, list[tuple[int, Cells]]]]:
    """Yield rows in batches, each with how many there have been with it."""
    left, done = iter(rows), 0
    while batch := list(islice(left, BATCH)):
        done += len(batch)
        yield done, batch


def _finish(file: UsageFile, token: str) -> None:
    """Write the processed file, and move the file to where it belongs."""
    content = _written(file, token)
    detail = _first_error(file)
    with transitions.atomic():
        _store(file, content)
        counting.recount(file.pk)
        _move(file, token, "invalidate" if detail else "ready", error_detail=detail)
        leases.release(file.pk, token)


def _invalidate(file: UsageFile, token: str, detail: str) -> None:
    """The upload as a whole is of no use."""
    with transitions.atomic():
        UsageRecord.objects.filter(file=file).delete()
        StoredFile.objects.filter(file=file, kind=StoredFile.PROCESSED).delete()
        counting.recount(file.pk)
        _move(file, token, "invalidate", error_detail=_short(detail))
        leases.release(file.pk, token)


def _rewrite(file: UsageFile, token: str) -> None:
    """Write the processed file anew: its records have moved on."""
    content = _written(file, token) if file.attempts <= ATTEMPTS else None
    with transaction.atomic():
        if content is not None:
            _store(file, content)
        leases.release(file.pk, token)


def _written(file: UsageFile, token: str) -> bytes:
    return writing.processed(file, lambda: leases.keep(file.pk, token))


def _store(file: UsageFile, content: bytes) -> None:
    StoredFile.objects.update_or_create(
        file=file,
        kind=StoredFile.PROCESSED,
        defaults={
            "name": f"{file.pk}-processed.xlsx", "content": content, "created": clock.now(),
        },
    )  # fmt: skip


def _move(file: UsageFile, token: str, name: str, **columns: str) -> UsageFile:
    try:
        moved: UsageFile = transitions.move(
            UsageFile, file.pk, name, Actor(), {"claim": token, "columns": columns}
        )
    except Refused as refused:
        raise LostClaim(str(refused)) from None
    return moved


def _first_error(file: UsageFile) -> str:
    """Return what is wrong with a file's rows in one sentence, empty where nothing is."""
    invalid = UsageRecord.objects.filter(file=file, status="invalid")
    count, first = invalid.count(), invalid.order_by("row").first()
    if first is None:
        return ""
    error = first.errors[0]
    rows = f"{count} row{'s are' if count > 1 else ' is'} invalid"
    return _short(f"{rows}. Row {first.row}, {error['column']}: {error['message']}")


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"
