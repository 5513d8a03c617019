"""Links to spreadsheets: signed, good for ten minutes, and good for whoever has one.

Published clients fetch them without a key (connect-sdk 22, the usage report), as Connect's own
links to its file storage want it.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from requests_queue.catalog.models import Product
from requests_queue.errors import Forbidden, Missing
from requests_queue.queues.usage_file import limits, writing
from requests_queue.queues.usage_file.models import StoredFile

SECONDS = 600
_SALT = "usage-file-content"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TEMPLATE = "template"


def to_content(file_pk: str, kind: str) -> str:
    """Return a link to a content of a file: `usage`, `processed` or `reconciliation`."""
    return _link(file_pk, kind)


def to_template(product_pk: str) -> str:
    """Return a link to the template of a product."""
    return _link(product_pk, TEMPLATE)


def _link(pk: str, kind: str) -> str:
    token = signing.dumps([pk, kind], salt=_SALT, compress=False)
    return f"{settings.SIM_API_URL}/public/v1/usage/download/{token}"


class Download(APIView):
    """`GET /usage/download/{token}`: the spreadsheet; 403 for a link that is over or forged."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request, token: str) -> HttpResponse:
        """Answer with the bytes, as something to keep rather than to look at."""
        try:
            pk, kind = signing.loads(token, salt=_SALT, max_age=SECONDS)
        except signing.BadSignature:
            raise Forbidden(
                "This link is not valid any more: read the object again for a new one."
            ) from None
        name, content = _template(pk) if kind == TEMPLATE else _stored(pk, kind)
        return attachment(name, content)


def attachment(name: str, content: bytes) -> HttpResponse:
    """Return a spreadsheet as something to keep rather than to look at."""
    kept = _XLSX if limits.is_workbook(content) else "text/csv"
    return HttpResponse(
        content,
        content_type=kept,
        headers={"Content-Disposition": f'attachment; filename="{_plain(name)}"'},
    )


def _template(pk: str) -> tuple[str, bytes]:
    product = Product.objects.filter(pk=pk).first()
    if product is None:
        raise Missing(pk)
    return f"{pk}-usage-template.xlsx", writing.template(product)


def _stored(pk: str, kind: str) -> tuple[str, bytes]:
    found: Any = StoredFile.objects.filter(file=pk, kind=kind).first()
    if found is None:
        raise Missing(f"{kind} file of {pk}")
    return found.name, bytes(found.content)


def _plain(name: str) -> str:
    """Return a file's name as a header can have it."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in name)
    return kept or "usage.xlsx"
