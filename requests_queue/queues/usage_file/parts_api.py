"""`/usage/records`, `/usage/chunks`, `/usage/reconciliations`, `/usage/aggregates`.

The rows of usage files, one by one and in bulk, and what is made of the files.
"""

from __future__ import annotations

from typing import Any, cast

from django.db.models import Max, Q, QuerySet, Sum, TextField
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast
from django.http import HttpResponse
from django.urls import path
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from requests_queue.api.fields import List
from requests_queue.api.schema import Answer, Documented, Form
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import DISTRIBUTOR
from requests_queue.catalog.models import Item
from requests_queue.catalog.rest import Collection, routes
from requests_queue.db.rows import get_row
from requests_queue.errors import Forbidden
from requests_queue.queues import transitions
from requests_queue.queues.usage_file import (
    chunks,
    inputs,
    links,
    parts_representations,
    reconciliations,
    records,
    schema,
    spreadsheet,
    uploads,
    workbooks,
)
from requests_queue.queues.usage_file.models import (
    Reconciliation,
    UsageChunk,
    UsageFile,
    UsageRecord,
)
from requests_queue.queues.usage_file.representations import RECORD


class UsageRecords(Collection):
    """`/usage/records`, for both parties of their files."""

    bodies = {
        "update": inputs.RecordDecisionInput(),
        "close": inputs.RecordCloseInput(),
        "close_many": List(inputs.RecordToCloseInput()),
    }
    documented = Documented(
        "Usage",
        "usage record",
        RECORD,
        answers={"close_many": Answer(206, list[schema.ClosedRecord])},
    )
    related = (*RECORD.related, "item", "asset")

    def visible(self) -> QuerySet[UsageRecord]:
        """Return the records of the caller's files."""
        return UsageRecord.objects.filter(**visibility.party(self.account, "file__"))

    def update(self, request: HttpRequest, pk: str) -> Response:
        """Approve or reject a record, by `status`: 200, 400, or 403 for the vendor."""
        self.get_object()
        records.decide(pk, self.body["status"], self.actor)
        return self.answer(self.get_object())

    @action(detail=True, methods=["post"])
    def close(self, request: HttpRequest, pk: str) -> Response:
        """Close a record, with `external_billing_id` and `external_billing_note`."""
        self.get_object()
        records.close(pk, self.body, self.actor)
        return self.answer(self.get_object())

    def close_many(self, request: HttpRequest) -> Response:
        """Close the records of a list: 206 with what became of each."""
        entries = cast("list[Any]", request.data)
        return Response(records.close_many(entries, self.get_queryset(), self.actor), status=206)


_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_WORKBOOK = Answer(200, str, (_SHEET,))
# When the vendor submitted a record's file; Django takes what it compares with a key for JSON.
_SUBMITTED = Cast(KeyTextTransform("at", KeyTransform("submitted", "file__events")), TextField())
# A file counts once the distributor has it; what it accepted is billed.
_REPORTED, _ACCEPTED = ("pending", "accepted", "closed"), ("accepted", "closed")


class Chunks(Collection):
    """`/usage/chunks`: the parts of accepted files by hub, which the distributor closes."""

    bodies = {"update": inputs.ChunkUpdate(), "close": inputs.ChunkCloseInput()}
    documented = Documented(
        "Usage",
        "usage chunk",
        parts_representations.CHUNK,
        answers={"download": _WORKBOOK},
    )

    def visible(self) -> QuerySet[UsageChunk]:
        """Return the chunks of the caller's files."""
        rows = UsageChunk.objects.filter(**visibility.party(self.account, "file__"))
        return chunks.with_status(rows)

    def complete(self, rows: QuerySet[UsageChunk]) -> QuerySet[UsageChunk]:
        """Return the chunks with what is counted of their records."""
        return chunks.with_counts(super().complete(rows))

    def update(self, request: HttpRequest, pk: str) -> Response:
        """Set `external_id`, for the distributor: 200, 400 or 403."""
        chunks.rename(self.get_object(), self.body, self.actor)
        return self.answer(self.get_object())

    @action(detail=True, methods=["post"])
    def close(self, request: HttpRequest, pk: str) -> Response:
        """Close all records of a chunk with what they are billed by, for the distributor: 200."""
        chunks.close(self.get_object(), self.body, self.actor)
        return self.answer(self.get_object())

    @action(detail=True, methods=["post"])
    def regenerate(self, request: HttpRequest, pk: str) -> Response:
        """Have a chunk's spreadsheet written anew, for the distributor: 200.

        It is written whenever it is downloaded, so it is never outdated.
        """
        chunks.check_regenerated(self.get_object(), self.actor)
        return self.answer(self.get_object())

    @action(detail=True, methods=["get"])
    def download(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Answer 200 with the records of a chunk as a workbook."""
        row = self.get_object()
        content = workbooks.chunk_file(row.file, chunks.records_of(row))
        return links.attachment(f"{row.pk}.xlsx", content)


class Reconciliations(Collection):
    """`/usage/reconciliations`: the spreadsheets by which the distributor closed records."""

    bodies = {"create": Form("recon_file", upload_note=str)}
    documented = Documented(
        "Usage",
        "usage reconciliation",
        parts_representations.RECONCILIATION,
        answers={
            "uploadedfile": Answer(200, str, (_SHEET, "text/csv")),
            "processedfile": _WORKBOOK,
        },
    )
    parser_classes = (MultiPartParser,)

    def visible(self) -> QuerySet[Reconciliation]:
        """Return the reconciliations of the caller's files."""
        return Reconciliation.objects.filter(**visibility.party(self.account, "file__"))

    def complete(self, rows: QuerySet[Reconciliation]) -> QuerySet[Reconciliation]:
        """Return the reconciliations without their contents, which are fetched one by one."""
        found: QuerySet[Reconciliation] = super().complete(rows).defer("content")
        return found

    def create(self, request: HttpRequest) -> Response:
        """Take what is billed of one usage file, the field `recon_file` of a form.

        201, 400 or 413; 403 for the vendor.
        """
        files = UsageFile.objects.filter(provider=self.account)
        if self.actor.role != DISTRIBUTOR and not files.exists():
            raise Forbidden("Usage files are reconciled by the distributor.")
        uploaded = uploads.find(request, "recon_file")
        values = inputs.ReconciliationInput().check(self.data)
        with spreadsheet.turn():
            content = uploads.read(uploaded, "recon_file")
            rows = reconciliations.read(content.content)
        file = reconciliations.file_of(rows, self.actor)
        data: dict[str, Any] = {"recon_file": content, "rows": rows} | values
        transitions.move(UsageFile, file.pk, "reconciliation", self.actor, data)
        return self.answer(self.get_queryset().filter(file=file.pk).order_by("-pk")[0], 201)

    @action(detail=True, methods=["get"])
    def uploadedfile(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Answer 200 with the spreadsheet as it was uploaded."""
        row = self.get_object()
        return links.attachment(row.name, bytes(row.content))

    @action(detail=True, methods=["get"])
    def processedfile(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Answer 200 with what became of each row, as a workbook."""
        row = self.get_object()
        return links.attachment(f"{row.pk}-processed.xlsx", reconciliations.results(row))


class Aggregates(Collection):
    """`/usage/aggregates`: what each subscription used of each item.

    Of the files that the distributor has, for both parties.
    """

    documented = Documented("Usage", "usage aggregate", parts_representations.AGGREGATE)

    def visible(self) -> QuerySet[UsageRecord]:
        """Return the records that are counted: of the caller's submitted files, none rejected."""
        return UsageRecord.objects.filter(
            file__status__in=_REPORTED,
            asset__isnull=False,
            item__isnull=False,
            **visibility.party(self.account, "file__"),
        ).exclude(status__in=("invalid", "rejected"))

    def list(self, request: HttpRequest, **kwargs: Any) -> Response:
        """Answer 200 with a row for each item, subscription and currency."""
        found = self.filter_queryset(self.visible())
        order = found.query.order_by or ("asset__id", "item__id", "file__currency")
        billed = Q(file__status__in=_ACCEPTED, status__in=("approved", "closed"))
        rows = (
            found.order_by()
            .values("item", "file__currency", "asset", "asset__external_id", "asset__external_uid")
            .annotate(
                amount=Sum("amount"),
                consumed=Sum("quantity"),
                accepted=Sum("quantity", filter=billed),
                reported=Max(_SUBMITTED),
            )
            .order_by(*order, "asset", "item", "file__currency")
        )
        page = self.paginate_queryset(rows) or []
        items = Item.objects.in_bulk([row["item"] for row in page])
        represent = parts_representations.AGGREGATE.represent
        return self.get_paginated_response(
            [represent({**row, "item": items[row["item"]]}) for row in page]
        )


class AggregatesOfAsset(Aggregates):
    """`/assets/{id}/usage/aggregates`: those of one subscription; 404 where it isn't seen."""

    documented = Documented(
        "Usage", "usage aggregate of a subscription", parts_representations.AGGREGATE
    )

    def visible(self) -> QuerySet[UsageRecord]:
        """Return the records of the subscription in the path; raises Missing."""
        asset = get_row(visibility.assets(self.account), self.kwargs["asset_id"])
        return super().visible().filter(asset=asset)


urlpatterns = [
    *routes(
        "usage/records",
        UsageRecords,
        path(
            "usage/records/close-records",
            UsageRecords.as_view({"post": "close_many"}, parser_classes=[uploads.ListParser]),
        ),
    ),
    path("usage/aggregates", Aggregates.as_view({"get": "list"})),
    path("assets/<str:asset_id>/usage/aggregates", AggregatesOfAsset.as_view({"get": "list"})),
    *routes("usage/chunks", Chunks),
    # The JavaScript SDK spells them so.
    *(
        path(f"usage/reconciliations/<str:pk>/{spelled}", Reconciliations.as_view({"get": name}))
        for spelled, name in (("processedFile", "processedfile"), ("uploadedFile", "uploadedfile"))
    ),
    *routes("usage/reconciliations", Reconciliations),
]
