"""Models of usage files, their stored spreadsheets, records, chunks and reconciliations."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from requests_queue.catalog.models import Asset, Contract, Hub, Item, Marketplace
from requests_queue.queues.base import QueueObject, list_indexes

# Values of `sub_status`.
PROCESSING, PROCESSED = "processing", "processed"


class UsageFile(QueueObject):
    """A usage file (`UF-`). `events` has the API's form; the integer columns count its records.

    While `sub_status` is `processing`, a worker processes the file or shall process it. `claim`
    is the token of that worker. `lease` (Unix time of the database) is when the claim expires,
    or when the task of an unclaimed file is published again; null: there is no task.
    """

    name = models.CharField(max_length=100)
    description = models.CharField(max_length=200, blank=True)
    note = models.CharField(max_length=200, blank=True)
    external_id = models.CharField(max_length=200, blank=True)
    environment = models.CharField(max_length=16, default="production")
    marketplace = models.ForeignKey(Marketplace, models.CASCADE, related_name="+")
    contract = models.ForeignKey(Contract, models.CASCADE, related_name="+")
    schema = models.CharField(max_length=2, default="qt")
    currency = models.CharField(max_length=3)
    period_from = models.DateField(null=True, blank=True)
    period_to = models.DateField(null=True, blank=True)
    error_detail = models.CharField(max_length=200, blank=True)
    acceptance_note = models.CharField(max_length=200, blank=True)
    rejection_note = models.CharField(max_length=200, blank=True)
    events = models.JSONField(default=dict)
    uploaded = models.IntegerField(default=0)
    validated = models.IntegerField(default=0)
    invalid = models.IntegerField(default=0)
    pending = models.IntegerField(default=0)
    accepted = models.IntegerField(default=0)
    closed = models.IntegerField(default=0)
    billed = models.IntegerField(default=0)
    sub_status = models.CharField(max_length=16, blank=True)
    claim = models.CharField(max_length=32, blank=True, editable=False)
    lease = models.FloatField(null=True, editable=False)
    attempts = models.IntegerField(default=0, editable=False)

    class Meta(QueueObject.Meta):
        indexes = [
            *list_indexes("usage_file"),
            models.Index(
                fields=["lease"],
                name="usage_file_lease",
                condition=models.Q(sub_status=PROCESSING),
            ),
        ]


class StoredFile(models.Model):
    """The content of a spreadsheet, in the database so that every worker can read it."""

    UPLOAD, PROCESSED, RECONCILIATION = "usage", "processed", "reconciliation"

    file = models.ForeignKey(UsageFile, models.CASCADE, related_name="contents")
    kind = models.CharField(max_length=16)
    name = models.CharField(max_length=255)
    content = models.BinaryField()
    created = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("file", "kind", name="usage_stored_file")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.file_id}"

    @classmethod
    def store(cls, file: UsageFile, kind: str, name: str, content: bytes, at: datetime) -> None:
        """Store a file's spreadsheet of a kind, in place of an earlier one."""
        columns = {"name": name, "content": content, "created": at}
        cls._default_manager.update_or_create(file=file, kind=kind, defaults=columns)


class UsageRecord(models.Model):
    """A row of a usage file (`UR-`): valid, invalid, approved, rejected or closed.

    The criteria and values by which the vendor named item and asset are kept beside the objects
    found. `errors` is a list of `{column, code, message, raw_value}`.
    """

    id = models.CharField(max_length=40, primary_key=True)
    file = models.ForeignKey(UsageFile, models.CASCADE, related_name="records")
    row = models.IntegerField()
    status = models.CharField(max_length=16)
    record_id = models.CharField(max_length=255)
    record_note = models.TextField(blank=True)
    item_search_criteria = models.CharField(max_length=255, blank=True)
    item_search_value = models.CharField(max_length=255, blank=True)
    asset_search_criteria = models.CharField(max_length=255, blank=True)
    asset_search_value = models.CharField(max_length=255, blank=True)
    item = models.ForeignKey(Item, models.SET_NULL, null=True, related_name="+")
    asset = models.ForeignKey(Asset, models.SET_NULL, null=True, related_name="+")
    quantity = models.DecimalField(max_digits=30, decimal_places=10, default=0)
    amount = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    tier = models.IntegerField(null=True)
    category = models.CharField(max_length=255, blank=True)
    start_date = models.DateTimeField(null=True)
    end_date = models.DateTimeField(null=True)
    params = models.JSONField(default=list)
    errors = models.JSONField(default=list)
    external_billing_id = models.CharField(max_length=255, blank=True)
    external_billing_note = models.TextField(blank=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["file", "status"], name="usage_record_status"),
            models.Index(fields=["file", "record_id"], name="usage_record_vendor_id"),
        ]
        constraints = [models.UniqueConstraint("file", "row", name="usage_record_row")]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"


class UsageChunk(models.Model):
    """The records of an accepted file that belong to one hub (`UFC-`)."""

    id = models.CharField(max_length=40, primary_key=True)
    file = models.ForeignKey(UsageFile, models.CASCADE, related_name="chunks")
    hub = models.ForeignKey(Hub, models.CASCADE, related_name="+")
    external_id = models.CharField(max_length=200, blank=True)
    created = models.DateTimeField()

    class Meta:
        ordering = ["-created", "id"]
        constraints = [models.UniqueConstraint("file", "hub", name="usage_chunk_once")]

    def __str__(self) -> str:
        return self.id


class Reconciliation(models.Model):
    """A spreadsheet that closed records of a file (`UFR-`); `event` has the API's form."""

    id = models.CharField(max_length=40, primary_key=True)
    file = models.ForeignKey(UsageFile, models.CASCADE, related_name="reconciliations")
    chunk = models.ForeignKey(UsageChunk, models.SET_NULL, null=True, related_name="+")
    status = models.CharField(max_length=16)
    name = models.CharField(max_length=255)
    content = models.BinaryField()
    upload_note = models.CharField(max_length=200, blank=True)
    event = models.JSONField(default=dict)
    created = models.DateTimeField()

    class Meta:
        ordering = ["-created", "id"]

    def __str__(self) -> str:
        return self.id
