"""`/helpdesk/cases`, and the attachments of each case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.http.response import HttpResponseBase
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from requests_queue.api.schema import Documented, Form
from requests_queue.catalog.models import User
from requests_queue.catalog.models.accounts import name_by
from requests_queue.catalog.rest import Collection, routes
from requests_queue.catalog.spreadsheets import limits
from requests_queue.catalog.views.forms import FormParser
from requests_queue.errors import Invalid, Missing
from requests_queue.queues.api import QueueCollection, queue_routes
from requests_queue.queues.helpdesk import attachments, creation, rules
from requests_queue.queues.helpdesk.models import Attachment, Case
from requests_queue.queues.helpdesk.representations import ATTACHMENT, CASE, NAMED
from requests_queue.queues.services import AttachedFiles, Service


def _complete(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return cases with their parties and everybody who is named in them."""
    people = User.objects.order_by("pk")
    recipients = ("issuer_recipients", "receiver_recipients")
    related = rows.select_related(*{*CASE.related, *NAMED})
    return related.prefetch_related(*(Prefetch(name, people) for name in recipients))


class Cases(QueueCollection):
    """`/helpdesk/cases`: for both parties; either opens cases with the other."""

    documented = Documented("Helpdesk", "helpdesk case", CASE)
    bodies = {"create": creation.BODY, "update": creation.CHANGES}
    queue = rules.QUEUE
    service = Service(
        complete=_complete,
        represent=CASE.represent,
        create=creation.create,
        edit=creation.edit,
        attachments=AttachedFiles(attachments.of_case, attachments.download),
    )
    # Connect has no such calls here: agents are changed by PUT.
    assign = None  # type: ignore[assignment]
    unassign = None  # type: ignore[assignment]

    def filtered_by(self) -> Mapping[str, Any]:
        """Return the names of users, which are computed."""
        return {f"{name}_name": name_by(f"{name}__") for name in NAMED}

    def update(self, request: HttpRequest, pk: str) -> Response:
        """Change a case: 200; the issuer changes its content, each party its own people."""
        self.check_visible(pk)
        creation.edit(pk, self.data, self.actor)
        return self.answer(self.get_object())


class Attachments(Collection):
    """`/helpdesk/cases/{id}/attachments`, for both parties; 404 where the caller is none."""

    documented = Documented(
        "Helpdesk",
        "attachment",
        ATTACHMENT,
        queries={
            "retrieve": {
                "format": "`attachment` returns the content instead, `preview` a picture of it."
            }
        },
    )
    bodies = {"create": Form("file")}
    parser_classes = (FormParser,)

    @property
    def case_id(self) -> str:
        """The case in the path; raises Missing."""
        pk: str = self.kwargs["case_id"]
        if not Case.visible_to(self.account).filter(pk=pk).exists():
            raise Missing(pk)
        return pk

    def visible(self) -> QuerySet[Attachment]:
        """Return the attachments of the case."""
        return Attachment.visible_to(self.account).filter(case=self.case_id)

    def complete(self, rows: QuerySet[Attachment]) -> QuerySet[Attachment]:
        """Return the attachments; the content only of one that is downloaded."""
        rows = super().complete(rows).select_related("created_by")
        is_download = self.action == "retrieve" and "format" in self.request.query_params
        return rows if is_download else rows.defer("content")

    def retrieve(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """Return 200 with the attachment; with `format`, its content or a preview of it."""
        row = self.get_object()
        form = request.query_params.get("format")
        return self.answer(row) if form is None else attachments.download(row, form)

    def create(self, request: HttpRequest, **kwargs: Any) -> Response:
        """Add a file: 201; 400, or 413 for one of more than 10 MiB."""
        case_id = self.case_id
        limits.check_length(request, "file", attachments.MAX_BYTES)
        file = request.FILES.get("file")
        if file is None:
            is_text = "file" in self.data
            what = "The submitted data was not a file." if is_text else "No file was submitted."
            raise Invalid("file", what, "required")
        return self.created(attachments.add(case_id, file, self.actor))

    def destroy(self, request: HttpRequest, **kwargs: Any) -> Response:
        """Delete an attachment of the caller's account: 204, 403 for any other."""
        attachments.remove(self.get_object(), self.actor)
        return Response(status=204)


urlpatterns = [
    *queue_routes("helpdesk/cases", Cases),
    *routes("helpdesk/cases/(?P<case_id>[^/]+)/attachments", Attachments),
]
