"""`/usage/files`, and the template of a product: what Connect serves of the usage queue."""

from __future__ import annotations

from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.urls import path
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from requests_queue.api.schema import Answer, Documented, Form
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Product
from requests_queue.catalog.rest import Collection
from requests_queue.queues import transitions
from requests_queue.queues.api import QueueCollection, queue_routes
from requests_queue.queues.services import Service, Upload
from requests_queue.queues.usage_file import (
    creation,
    links,
    reconciliations,
    records,
    representations,
    rules,
    spreadsheet,
    uploads,
)
from requests_queue.queues.usage_file.links import Download
from requests_queue.queues.usage_file.models import UsageFile
from requests_queue.queues.usage_file.parts_api import urlpatterns as of_parts
from requests_queue.queues.usage_file.representations import TEMPLATE_LINK


def _upload(pk: str, actor: Actor, file: UploadedFile[bytes]) -> None:
    content = uploads.read(file, "usage_file")
    transitions.move(UsageFile, pk, "upload", actor, {"usage_file": content})


def _reconcile(pk: str, actor: Actor, file: UploadedFile[bytes]) -> None:
    # Parse before the action, which locks the file: this takes seconds.
    with spreadsheet.turn():
        content = uploads.read(file, "recon_file")
        data = {"recon_file": content, "rows": reconciliations.read(content.content)}
    transitions.move(UsageFile, pk, "reconciliation", actor, data)


class UsageFiles(QueueCollection):
    """`/usage/files`: the usage queue, for both parties."""

    bodies = {
        "create": creation.CREATE,
        "update": creation.UPDATE,
        "upload": Form("usage_file"),
        "reconciliation": Form("recon_file"),
    }
    documented = Documented(
        "Usage",
        "usage file",
        representations.FILE_DETAIL,
        listed=representations.FILE,
        answers={
            "upload": Answer(201, representations.FILE_DETAIL),
            "errors": Answer(200, [representations.INVALID_ROW]),
        },
    )
    lists = frozenset({"errors"})
    queue = rules.QUEUE
    service = Service(
        complete=lambda rows: rows.select_related(*representations.FILE.related),
        represent=representations.detail,
        create=creation.create,
        edit=creation.edit,
        uploads={
            "upload": Upload("usage_file", _upload),
            "reconciliation": Upload("recon_file", _reconcile),
        },
    )
    represent_detail = staticmethod(representations.detail)
    # Connect's usage files have no assignee.
    assign = None  # type: ignore[assignment]
    unassign = None  # type: ignore[assignment]

    def update(self, request: HttpRequest, pk: str) -> Response:
        """Change what describes a file: 200; partial bodies are usual."""
        self.check_visible(pk)
        creation.edit(pk, self.data, self.actor)
        return self.answer(self.get_object())

    def upload(self, request: HttpRequest, pk: str) -> Response:
        """Take a spreadsheet, the field `usage_file` of a form: 201, 400, or 413."""
        self.check_visible(pk)
        _upload(pk, self.actor, uploads.find(request, "usage_file"))
        return self.answer(self.get_object(), 201)

    def reconciliation(self, request: HttpRequest, pk: str) -> Response:
        """Take what is billed, the field `recon_file` or `reconciliation_file`: 200, 400, 413."""
        self.check_visible(pk)
        _reconcile(pk, self.actor, uploads.find(request, "recon_file", "reconciliation_file"))
        return self.answer(self.get_object())

    @action(detail=True, methods=["put", "post"], url_path="approve-all")
    def approve_all(self, request: HttpRequest, pk: str) -> Response:
        """Approve all records of a file."""
        self.check_visible(pk)
        records.approve_all(pk, self.actor)
        return self.answer(self.get_object())

    @action(detail=True, methods=["get"])
    def errors(self, request: HttpRequest, pk: str) -> Response:
        """List the invalid rows, with what is wrong in which column (ours)."""
        rows = self.get_object().records.filter(status="invalid").order_by("row")
        page = self.paginate_queryset(rows)
        represent = representations.INVALID_ROW.represent
        return self.get_paginated_response([represent(row) for row in page or []])


class UsageProducts(Collection):
    """`/usage/products/{id}`: the usage template of a product, for both parties."""

    documented = Documented(
        "Usage", "product with usage", answers={"template": Answer(200, TEMPLATE_LINK)}
    )

    def visible(self) -> QuerySet[Product]:
        """Return the products that the caller sees."""
        return visibility.products(self.account)

    def template(self, request: HttpRequest, pk: str) -> Response:
        """Answer 200 with a link to the workbook that a vendor fills in."""
        link = links.link(self.get_object().pk, links.TEMPLATE)
        return Response(TEMPLATE_LINK.represent(link))


urlpatterns = [
    path("usage/download/<str:token>", Download.as_view()),
    path("usage/products/<str:pk>/template", UsageProducts.as_view({"get": "template"})),
    *of_parts,
    *(
        path(
            f"usage/files/<str:pk>/{name}",
            UsageFiles.as_view({"post": name}, parser_classes=[MultiPartParser]),
        )
        for name in ("upload", "reconciliation")
    ),
    *queue_routes("usage/files", UsageFiles),
]
