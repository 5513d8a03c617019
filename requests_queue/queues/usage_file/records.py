"""What the distributor decides on a file's records: approved, rejected, closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import F

from requests_queue import clock, transitions
from requests_queue.catalog.actors import DISTRIBUTOR, Actor
from requests_queue.errors import ActionNotAllowed, Forbidden, Invalid, Missing, Refused
from requests_queue.fields import Values
from requests_queue.queues.usage_file import counting, reconciling
from requests_queue.queues.usage_file.inputs import RecordToCloseInput
from requests_queue.queues.usage_file.models import UsageFile, UsageRecord

# While a file is here, its records are decided on.
DECIDABLE = ("pending", "accepted")
MOST = 1000
TO_CLOSE = RecordToCloseInput()


def decide(pk: str, status: str, actor: Actor) -> None:
    """Approve or reject one record; raises Refused."""
    with transaction.atomic():
        file = _locked_file_of(pk)
        _must_be_distributor(actor, file, "decides on")
        _must_be_in(file, DECIDABLE, "records are decided on")
        undecided = ("valid", "approved", "rejected")
        _change(pk, undecided, f"{status} is for valid, approved or rejected", {"status": status})
        counting.recount(file.pk)


def approve_all(pk: str, actor: Actor) -> None:
    """Approve all records of a file that are not decided on; raises Refused."""
    with transaction.atomic():
        file = UsageFile.objects.select_for_update().get(pk=pk)
        _must_be_distributor(actor, file, "approves")
        _must_be_in(file, DECIDABLE, "records are approved")
        rows = UsageRecord.objects.filter(file=file, status__in=("valid", "rejected"))
        rows.update(status="approved")
        counting.recount(pk)


def close(pk: str, values: Values, actor: Actor) -> None:
    """Close an approved record, with what it is billed by; the last one closes the file."""
    billing = {"external_billing_id": "", "external_billing_note": ""} | values
    with transitions.atomic():
        file = _locked_file_of(pk)
        _must_be_distributor(actor, file, "closes")
        _must_be_in(file, ("accepted",), "records are closed")
        columns = reconciling.closed(actor, clock.now()) | billing
        _change(pk, ("approved",), "close is for approved", columns)
        billed = F("billed") + (1 if billing["external_billing_id"] else 0)
        UsageFile.objects.filter(pk=file.pk).update(
            accepted=F("accepted") - 1, closed=F("closed") + 1, billed=billed
        )
        if file.pending == 0 and file.accepted <= 1:
            transitions.move(UsageFile, file.pk, "close", actor)


def close_many(entries: list[Any], visible: Any, actor: Actor) -> list[dict[str, str]]:
    """Close the records of a body, each by itself, and return what became of each.

    `{id, error_details, error_codes, status}`; a record of somebody else's is as one that isn't.
    """
    if len(entries) > MOST:
        raise Invalid("", f"Ensure this list has no more than {MOST} elements.")
    if actor.role != DISTRIBUTOR and not visible.filter(file__vendor=F("file__provider")).exists():
        raise Forbidden("The distributor closes usage records.")
    return [_closed(entry, visible, actor) for entry in entries]


def _closed(entry: Any, visible: Any, actor: Actor) -> dict[str, str]:
    pk = entry.get("id") if isinstance(entry, Mapping) else None
    said = {"id": pk if isinstance(pk, str) else "", "error_details": "", "error_codes": ""}
    try:
        values = TO_CLOSE.check(entry)
        if not visible.filter(pk=values["id"]).exists():
            raise Missing(values["id"])
        close(values.pop("id"), values, actor)
    except Refused as refused:
        said |= {"error_details": str(refused), "error_codes": refused.code}
    status = visible.filter(pk=said["id"]).values_list("status", flat=True).first()
    return said if status is None else {**said, "status": status}


def _locked_file_of(pk: str) -> UsageFile:
    file = UsageFile.objects.select_for_update(of=("self",)).filter(records=pk).first()
    if file is None:
        raise Missing(pk)
    return file


def _must_be_distributor(actor: Actor, file: UsageFile, does: str) -> None:
    if DISTRIBUTOR not in actor.roles_for(file):
        raise Forbidden(f"The distributor {does} usage records.")


def _must_be_in(file: UsageFile, statuses: tuple[str, ...], what: str) -> None:
    if file.status not in statuses:
        raise ActionNotAllowed(
            f"{file.pk} is {file.status}: {what} in {' or '.join(statuses)} only."
        )


def _change(pk: str, source: tuple[str, ...], rule: str, columns: dict[str, Any]) -> None:
    if UsageRecord.objects.filter(pk=pk, status__in=source).update(**columns):
        return
    status = UsageRecord.objects.filter(pk=pk).values_list("status", flat=True).first()
    raise ActionNotAllowed(f"{pk} is {status}: {rule} records only.")
