"""Actions on a chunk of a usage file for its distributor: rename, close, regenerate."""

from __future__ import annotations

from django.db import transaction

from requests_queue import clock, transitions
from requests_queue.catalog.actors import DISTRIBUTOR, Actor
from requests_queue.errors import ActionNotAllowed, Forbidden
from requests_queue.fields import Values
from requests_queue.queues.usage_file import counting, reconciling
from requests_queue.queues.usage_file.chunks import records_of
from requests_queue.queues.usage_file.models import UsageChunk, UsageFile, UsageRecord


def rename(chunk: UsageChunk, values: Values, actor: Actor) -> None:
    """Set `external_id`; raises Forbidden."""
    _require_distributor(chunk, actor)
    UsageChunk.objects.filter(pk=chunk.pk).update(**values)


def close(chunk: UsageChunk, values: Values, actor: Actor) -> None:
    """Close all records of a chunk, and the file with its last records.

    Raises Forbidden, ActionNotAllowed where the chunk is closed already.
    """
    _require_distributor(chunk, actor)
    billing = {"external_billing_note": ""} | values
    with transaction.atomic():
        file = UsageFile.objects.select_for_update(of=("self",)).get(pk=chunk.file_id)
        columns = reconciling.closed_columns(actor, clock.now()) | billing
        approved = UsageRecord.objects.filter(
            pk__in=records_of(chunk).filter(status="approved").values("pk")
        )
        if file.status != "accepted" or not approved.update(**columns):
            raise ActionNotAllowed(f"{chunk.pk} is closed. Only ready chunks can be closed.")
        if reconciling.is_done(counting.recount(file.pk)):
            transitions.move(UsageFile, file.pk, "close", actor)


def check_regenerated(chunk: UsageChunk, actor: Actor) -> None:
    """Check that a chunk can be regenerated; raises Forbidden, ActionNotAllowed.

    The workbook is built at each download, so there is nothing to write.
    """
    _require_distributor(chunk, actor)
    if not records_of(chunk).filter(status="approved").exists():
        raise ActionNotAllowed(f"{chunk.pk} is closed. Only ready chunks can be regenerated.")


def _require_distributor(chunk: UsageChunk, actor: Actor) -> None:
    if DISTRIBUTOR not in actor.roles_for(chunk.file):
        raise Forbidden("Only the distributor can change usage chunks.")
