"""Signed links to spreadsheets, valid for ten minutes and without authentication.

Published clients (connect-sdk 22, the usage report) fetch them without a key, because Connect's
own links lead to its file storage.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from requests_queue.catalog.models import Product
from requests_queue.catalog.spreadsheets import limits
from requests_queue.db.rows import get_row
from requests_queue.errors import Forbidden, Missing
from requests_queue.queues.usage_file import workbooks
from requests_queue.queues.usage_file.models import StoredFile

SECONDS = 600
_SALT = "usage-file-content"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TEMPLATE = "template"


def link(pk: str, kind: str) -> str:
    """Return a link to a stored file of a usage file, or to the TEMPLATE of a product.

    Kinds of files are `usage`, `processed` and `reconciliation`.
    """
    token = signing.dumps([pk, kind], salt=_SALT, compress=False)
    return f"{settings.SIM_API_URL}/public/v1/usage/download/{token}"


class Download(APIView):
    """`GET /usage/download/{token}`: the spreadsheet; 403 for an expired or forged link."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request, token: str) -> HttpResponse:
        """Return the spreadsheet as an attachment."""
        try:
            pk, kind = signing.loads(token, salt=_SALT, max_age=SECONDS)
        except signing.BadSignature:
            raise Forbidden("The link has expired. Read the object again for a new one.") from None
        name, content = _template(pk) if kind == TEMPLATE else _stored(pk, kind)
        return attachment(name, content)


def attachment(name: str, content: bytes) -> HttpResponse:
    """Return the response that downloads a spreadsheet."""
    # Without the characters that a header cannot have.
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in name)
    filename = safe or "usage.xlsx"
    return HttpResponse(
        content,
        content_type=_XLSX if limits.is_workbook(content) else "text/csv",
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )


def _template(pk: str) -> tuple[str, bytes]:
    return f"{pk}-usage-template.xlsx", workbooks.template(get_row(Product.objects.all(), pk))


def _stored(pk: str, kind: str) -> tuple[str, bytes]:
    row: Any = StoredFile.objects.filter(file=pk, kind=kind).first()
    if row is None:
        raise Missing(f"{kind} file of {pk}")
    # The demo data's are made when somebody reads them.
    return row.name, bytes(row.content) or workbooks.processed_file(row.file, lambda: None)
