"""`/media/product_media/<id>/<key>/<name>`: product pictures; the address is the permission.

The API gives the address only to accounts that see the product.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from requests_queue.catalog.models import ProductMedia
from requests_queue.catalog.product_representations import thumbnail_key


@require_safe
def picture(request: HttpRequest, pk: str, key: str, name: str) -> HttpResponse:
    """Return the bytes of a picture; 404 for an address made up, or of an older picture."""
    row = ProductMedia.objects.defer("content").filter(pk=pk).first()
    if row is None or not constant_time_compare(key, thumbnail_key(row)):
        error = {"error_code": "NFND_000", "errors": [f"Object `{pk}` not found."]}
        return JsonResponse(error, status=404)
    return HttpResponse(
        bytes(row.content),
        content_type=row.content_type,
        headers={
            "Cache-Control": "private, max-age=300",
            # What a vendor uploaded is a picture and nothing else, even where it is opened alone.
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
        },
    )
