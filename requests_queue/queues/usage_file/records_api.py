"""`/usage/records`: the rows of usage files, one by one and in bulk."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import QuerySet
from django.urls import path
from rest_framework.decorators import action
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from requests_queue.fields import List
from requests_queue.queues.usage_file import inputs, records, schema, uploads
from requests_queue.queues.usage_file.models import UsageRecord
from requests_queue.queues.usage_file.representations import RECORD
from requests_queue.rest import Collection, routes
from requests_queue.schema import Answer, Documented


class UsageRecords(Collection):
    """`/usage/records`, for both parties of their files."""

    bodies = {
        "update": inputs.RecordDecisionInput(), "close": inputs.RecordCloseInput(),
        "close_many": List(inputs.RecordToCloseInput()),
    }  # fmt: skip
    documented = Documented(
        "Usage", "usage record", RECORD,
        answers={"close_many": Answer(206, list[schema.ClosedRecord])},
    )  # fmt: skip
    related = (*RECORD.related, "item", "asset")

    def visible(self) -> QuerySet[UsageRecord]:
        """Return the records of the caller's files."""
        side = "vendor" if self.account.is_vendor else "provider"
        return UsageRecord.objects.filter(**{f"file__{side}": self.account})

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


urlpatterns = routes(
    "usage/records",
    UsageRecords,
    path(
        "usage/records/close-records",
        UsageRecords.as_view({"post": "close_many"}, parser_classes=[uploads.ListParser]),
    ),
)
