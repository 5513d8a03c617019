"""Actions of the distributor on a file's records: approve, reject, close; and their counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Q

from requests_queue import clock, topics
from requests_queue.api.fields import Values
from requests_queue.catalog.actors import DISTRIBUTOR, Actor
from requests_queue.errors import ActionNotAllowed, Forbidden, Invalid, Missing, Refused
from requests_queue.queues import transitions
from requests_queue.queues.usage_file import reconciliations
from requests_queue.queues.usage_file.inputs import RecordToCloseInput
from requests_queue.queues.usage_file.models import UsageFile, UsageRecord
from requests_queue.signals import usage_records_closed

ZEROS = dict.fromkeys(
    ("uploaded", "validated", "invalid", "pending", "accepted", "closed", "billed"), 0
)


def count_records(file_pk: str) -> dict[str, int]:
    """Return the counts of a file's records by column of the file."""
    counts: dict[str, Any] = UsageRecord.objects.filter(file=file_pk).aggregate(
        uploaded=Count("pk"),
        validated=Count("pk"),
        invalid=Count("pk", filter=Q(status="invalid")),
        pending=Count("pk", filter=Q(status="valid")),
        accepted=Count("pk", filter=Q(status="approved")),
        closed=Count("pk", filter=Q(status="closed")),
        billed=Count("pk", filter=Q(status="closed") & ~Q(external_billing_id="")),
    )
    return counts


def recount(file_pk: str) -> dict[str, int]:
    """Count a file's records, store the counts on the file, and return them."""
    counts = count_records(file_pk)
    UsageFile.objects.filter(pk=file_pk).update(**counts)
    return counts


# Statuses of a file whose records can be approved and rejected.
DECIDABLE = ("pending", "accepted")
# Records that one request may close.
MAX_CLOSED = 1000
TO_CLOSE = RecordToCloseInput()


@transaction.atomic
def decide(pk: str, status: str, actor: Actor) -> None:
    """Approve or reject one record; raises Refused."""
    file = _locked_file_of(pk)
    require_distributor(actor, file)
    _require_status(file, DECIDABLE)
    _update(pk, ("valid", "approved", "rejected"), status=status)
    recount(file.pk)
    topics.announce_objects(file.parties(), file.pk)


@transaction.atomic
def approve_all(pk: str, actor: Actor) -> None:
    """Approve all valid and rejected records of a file; raises Refused."""
    file = UsageFile.objects.select_for_update().get(pk=pk)
    require_distributor(actor, file)
    _require_status(file, DECIDABLE)
    rows = UsageRecord.objects.filter(file=file, status__in=("valid", "rejected"))
    rows.update(status="approved")
    recount(pk)
    topics.announce_objects(file.parties(), pk)


@transitions.atomic()
def close(pk: str, values: Values, actor: Actor) -> None:
    """Close an approved record as billed; the last one closes the file. Raises Refused."""
    billing = {"external_billing_id": "", "external_billing_note": ""} | values
    file = _locked_file_of(pk)
    require_distributor(actor, file)
    _require_status(file, ("accepted",))
    now = clock.now()
    _update(pk, ("approved",), **reconciliations.closed_columns(actor, now) | billing)
    billed = F("billed") + (1 if billing["external_billing_id"] else 0)
    UsageFile.objects.filter(pk=file.pk).update(
        accepted=F("accepted") - 1, closed=F("closed") + 1, billed=billed
    )
    topics.announce_objects(file.parties(), file.pk)
    usage_records_closed.send(sender=UsageFile, file=file, at=now)
    if file.pending == 0 and file.accepted <= 1:
        transitions.move(UsageFile, file.pk, "close", actor)


def close_many(entries: list[Any], visible: Any, actor: Actor) -> list[dict[str, str]]:
    """Close the records of a body independently of each other, and return the results.

    A result is `{id, error_details, error_codes, status}`. Records that are not visible count
    as missing.
    """
    if len(entries) > MAX_CLOSED:
        raise Invalid("", f"Ensure this list has no more than {MAX_CLOSED} elements.")
    if actor.role != DISTRIBUTOR and not visible.filter(file__vendor=F("file__provider")).exists():
        raise Forbidden("Only the distributor can change usage records.")
    return [_close_entry(entry, visible, actor) for entry in entries]


def _close_entry(entry: Any, visible: Any, actor: Actor) -> dict[str, str]:
    pk = entry.get("id") if isinstance(entry, Mapping) else None
    result = {"id": pk if isinstance(pk, str) else "", "error_details": "", "error_codes": ""}
    try:
        values = TO_CLOSE.check(entry)
        if not visible.filter(pk=values["id"]).exists():
            raise Missing(values["id"])
        close(values.pop("id"), values, actor)
    except Refused as refused:
        result |= {"error_details": str(refused), "error_codes": refused.code}
    status = visible.filter(pk=result["id"]).values_list("status", flat=True).first()
    return result if status is None else {**result, "status": status}


def _locked_file_of(pk: str) -> UsageFile:
    file = UsageFile.objects.select_for_update(of=("self",)).filter(records=pk).first()
    if file is None:
        raise Missing(pk)
    return file


def require_distributor(actor: Actor, file: UsageFile, what: str = "records") -> None:
    """Raise Forbidden unless the actor is the distributor of a file."""
    if DISTRIBUTOR not in actor.roles_for(file):
        raise Forbidden(f"Only the distributor can change usage {what}.")


def _require_status(file: UsageFile, statuses: tuple[str, ...]) -> None:
    if file.status not in statuses:
        raise ActionNotAllowed(
            f"{file.pk} is {file.status}. Its status must be {' or '.join(statuses)}."
        )


def _update(pk: str, source: tuple[str, ...], **columns: Any) -> None:
    if UsageRecord.objects.filter(pk=pk, status__in=source).update(**columns):
        return
    status = UsageRecord.objects.filter(pk=pk).values_list("status", flat=True).first()
    raise ActionNotAllowed(f"{pk} is {status}. Its status must be {' or '.join(source)}.")
