"""`/sandbox/snapshots/{name}/file` and `/sandbox/snapshot-files`: export and import snapshots."""

from __future__ import annotations

from typing import IO, Annotated, Any, cast

from django.http import HttpResponse
from django.urls import path
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.api.fields import Input, String
from requests_queue.api.resources import Field, Part
from requests_queue.api.schema import FROM_OUTSIDE, Form
from requests_queue.catalog.models import User
from requests_queue.queues.usage_file import uploads
from sandbox.api.schema import Operation, Operations, Query, Word
from sandbox.api.world import SNAPSHOT
from sandbox.snapshot_files import exporting, importing


def _new_secrets(imported: importing.Imported) -> dict[str, list[str]]:
    return {"webhooks": imported.webhooks, "products": imported.products}


IMPORTED = Part(
    "ImportedSnapshot",
    "A snapshot of a file, the ids of webhooks and products that have new secrets, and the headers "
    "of webhooks whose values the file lacks.",
    {
        "snapshot": Field(SNAPSHOT, "snapshot"),
        "new_secrets": Field(dict[str, list[str]], _new_secrets),
        "headers": Annotated[dict[str, list[str]], FROM_OUTSIDE],
    },
)


class FileQuery(Query):
    """How a snapshot is exported."""

    secrets = Word(
        ("true", "false"),
        help_text="Include JWT secrets and header values of the account's webhooks, readable.",
    )


class FileInput(Input):
    """The fields beside the file: another name, and whether it may replace a snapshot."""

    name = String()
    replace = Word(("true", "false"))


class FileView(APIView):
    """`GET /sandbox/snapshots/{name}/file`: a snapshot as a file."""

    operations: Operations = {
        "get": Operation(
            "Snapshots",
            "Export a snapshot",
            bytes,
            query=FileQuery,
            errors=(404, 409),
            media_types=(exporting.MEDIA_TYPE,),
        )
    }

    def get(self, request: Request, name: str) -> HttpResponse:
        """Return the rows of a snapshot, without users and keys, and with secrets masked.

        409 for a snapshot that is damaged, of another version, or too large for a file.
        """
        query = FileQuery().check_query(request.query_params)
        account = str(cast(User, request.user).account_id)
        return exporting.response(name, [account] if query.get("secrets") == "true" else [])


class FilesView(APIView):
    """`POST /sandbox/snapshot-files`, a form: 201 `{"snapshot", "new_secrets", "headers"}`."""

    parser_classes = (MultiPartParser,)
    operations: Operations = {
        "post": Operation(
            "Snapshots",
            "Import a snapshot",
            IMPORTED,
            201,
            body=Form("file", name=str, replace=bool),
            errors=(409, 413, 503),
        )
    }

    def post(self, request: Request) -> Response:
        """Save a file as a snapshot, under the name of its export or another one.

        All of it is checked first: if something is wrong, nothing has changed. 409 if the name
        exists, unless `replace` is true; 413 for a file above the limits.
        """
        file = uploads.find(request, "file")
        fields = cast("dict[str, Any]", request.data)
        texts = {name: fields[name] for name in ("name", "replace") if name in fields}
        values = FileInput().check(texts)
        imported = importing.import_file(
            cast(IO[bytes], file), values.get("name", ""), replace=values.get("replace") == "true"
        )
        return Response(IMPORTED.represent(imported), status=201)


urlpatterns = [
    path("snapshots/<str:name>/file", FileView.as_view()),
    path("snapshot-files", FilesView.as_view()),
]
