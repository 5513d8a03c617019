"""`/sandbox/products/import` and `…/{id}/export`: workbooks of `ccli product export`."""

from __future__ import annotations

from typing import Any, Literal, cast

from django.db import transaction
from django.http import HttpResponse
from django.urls import path
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.media import icon_file
from requests_queue.api.fields import Id, Input
from requests_queue.api.resources import Field, Part
from requests_queue.api.schema import Form, Untrusted
from requests_queue.catalog.models import Account, Product
from requests_queue.catalog.spreadsheets import limits
from requests_queue.catalog.workbooks import exporting, importing
from requests_queue.catalog.writes import media
from requests_queue.db.rows import get_row
from requests_queue.errors import Invalid
from requests_queue.queues.usage_file import spreadsheet, uploads
from requests_queue.seed.accounts import VENDOR
from sandbox.api.schema import Operation, Operations, Query, Word

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ZIP = "application/zip"
_ROW = {"sheet": str, "id": Untrusted}
_NAMED = Part("Named", "A reference to an object.", {"id": str, "name": Untrusted})
IMPORTED_PRODUCT = Part(
    "ImportedProduct",
    "The result of an import; `kept` is what the product has and the file doesn't.",
    {
        "product": Field(_NAMED),
        "vendor": Field(_NAMED, "product.owner"),
        "created": Field(bool, "is_new"),
        "changes": [
            Part(
                "ProductChange",
                "What an import has changed: a row of a sheet, by the id of its object.",
                {**_ROW, "change": Literal["created", "updated"], "columns": list[str]},
            )
        ],
        "kept": [Part("ProductRow", "An object that a workbook lacks.", _ROW)],
        "not_imported": list[Untrusted],
        "warnings": list[Untrusted],
    },
)


class ImportInput(Input):
    """The fields beside the files."""

    vendor = Id()


class ExportQuery(Query):
    """How a product is exported."""

    pictures = Word(
        ("true", "false"), help_text="Return a ZIP archive with the workbook and its pictures."
    )


class ImportView(APIView):
    """`POST /sandbox/products/import`, a form: 200 `{"product", "created", "changes", …}`."""

    parser_classes = (MultiPartParser,)
    operations: Operations = {
        "post": Operation(
            "Products",
            "Import a product",
            IMPORTED_PRODUCT,
            body=Form("file", "pictures", vendor=str),
            errors=(409, 413, 503),
        )
    }

    def post(self, request: Request) -> Response:
        """Import a workbook of `ccli product export`, with its ids, in one transaction.

        `file` is the workbook, `pictures` are the files of its folder `media`, and `vendor` is the
        owner of the product, by default the demo vendor. A product that exists is changed to what
        the file says; what the file lacks stays.
        """
        file = uploads.find(request, "file")
        fields = cast("dict[str, Any]", request.data)
        values = ImportInput().check({"vendor": fields.get("vendor")})
        # To the end of the import, which keeps all cells in memory.
        with spreadsheet.turn():
            content = uploads.read(file, "file").content
            if not limits.is_workbook(content):
                raise Invalid("file", "The file is not an XLSX workbook.")
            owner = _vendor(values.get("vendor"))
            imported = importing.run(content, owner, _pictures(request))
        return Response(IMPORTED_PRODUCT.represent(imported))


class ExportView(APIView):
    """`GET /sandbox/products/{id}/export`: 200 with the workbook."""

    operations: Operations = {
        "get": Operation(
            "Products",
            "Export a product",
            bytes,
            query=ExportQuery,
            errors=(404, 409),
            media_types=(XLSX, ZIP),
        )
    }

    def get(self, request: Request, product: str) -> HttpResponse:
        """Return the product as a workbook that `ccli product sync` and the import read."""
        query = ExportQuery().check_query(request.query_params)
        pictures = query.get("pictures") == "true"
        with transaction.atomic():
            # The lock keeps the product's parts from changing meanwhile.
            row = get_row(Product.objects.select_for_update(no_key=True), product)
            if pictures:
                content = exporting.with_pictures(row, icon_file(row.pk, row.name))
            else:
                content = exporting.workbook(row)
        name = f"{row.pk}.{'zip' if pictures else 'xlsx'}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(content, content_type=ZIP if pictures else XLSX, headers=headers)


def _vendor(pk: str | None) -> Account:
    """Return the vendor of an import, by default the demo vendor; raises Invalid."""
    found = Account.objects.filter(pk=pk or VENDOR).first()
    if found is None:
        more = "" if pk else " Name the vendor of the product."
        raise Invalid("vendor", f"{pk or VENDOR} does not exist.{more}", "does_not_exist")
    if not found.is_vendor:
        raise Invalid("vendor", f"{found.pk} is not a vendor.")
    return found


def _pictures(request: Request) -> dict[str, bytes]:
    """Return the uploaded pictures by their names; raises Refused (413)."""
    found = {}
    for file in request.FILES.getlist("pictures"):
        if (file.size or 0) > media.MAX_BYTES:
            raise limits.too_large("thumbnail", media.MAX_BYTES)
        found[str(file.name)] = file.read()
    return found


urlpatterns = [
    path("products/import", ImportView.as_view()),
    path("products/<str:product>/export", ExportView.as_view()),
]
