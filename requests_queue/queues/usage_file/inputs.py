"""The request bodies of the usage file queue."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.exceptions import ValidationError

from requests_queue.api.fields import Choice, Date, Id, Input, Reference, String


class Day(Date):
    """The day of a date or of a moment, which clients send as well."""

    default_error_messages = {"invalid": "Not a valid date: write 2026-11-30."}

    def to_internal_value(self, data: Any) -> Any:
        """Return the day; raises ValidationError."""
        day: date = self.parse(data).date()
        return day


class FilePeriodInput(Input):
    """The first and the last day."""

    def get_fields(self) -> dict[str, Any]:
        """Return the fields, of which one has the name of a keyword."""
        return {"from": Day(), "to": Day()}


def _check_currency(value: str) -> None:
    if not (value.isalpha() and value.isascii()):
        raise ValidationError("Not a valid currency.")
    if len(value) != 3:
        raise ValidationError("Name it by its three letters.")


class UsageFileUpdate(Input):
    """What changes of a file."""

    description = String(200)
    note = String(200)
    external_id = String(200)
    currency = Id(validators=[_check_currency])
    period = FilePeriodInput(allow_null=True)


class UsageFileInput(UsageFileUpdate):
    """A new file."""

    name = String(100, required=True, error_messages={"blank": "This field is required."})
    product = Reference(allow_null=True)
    product_id = Id()
    contract = Reference(allow_null=True)
    contract_id = Id()


class AcceptInput(Input):
    """What there is to say."""

    acceptance_note = String(200)


class RejectInput(Input):
    """What is wrong."""

    rejection_note = String(200)


class ChunkUpdate(Input):
    """What the distributor calls a chunk."""

    external_id = String(200, required=True, allow_blank=True)


class RecordCloseInput(Input):
    """What a record is billed by."""

    external_billing_id = String(255)
    external_billing_note = String(2000)


class ChunkCloseInput(RecordCloseInput):
    """What the records of a chunk are billed by."""

    external_billing_id = String(255, required=True, allow_blank=True)


class RecordToCloseInput(RecordCloseInput):
    """A record, and what it is billed by."""

    id = Id(required=True)


class RecordDecisionInput(Input):
    """Whether a record is billed."""

    status = Choice(
        ("approved", "rejected"),
        required=True,
        error_messages={"invalid_choice": '"{input}" is not a valid choice: approved or rejected.'},
    )


class ReconciliationInput(Input):
    """What is said beside a spreadsheet."""

    upload_note = String(200)
