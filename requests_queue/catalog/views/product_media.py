"""`/products/{id}/media`: the pictures and videos that present a product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api import json_validation
from requests_queue.api.schema import Documented, Form, Json
from requests_queue.catalog.models import ProductMedia
from requests_queue.catalog.representations.products import MEDIA
from requests_queue.catalog.rest import routes
from requests_queue.catalog.spreadsheets import limits
from requests_queue.catalog.views.forms import FormParser, json_part
from requests_queue.catalog.views.of_product import OfProduct
from requests_queue.catalog.writes import media
from requests_queue.errors import Invalid

_FIELDS = ("position", "type", "url")


class Media(OfProduct):
    """`/products/{id}/media`, for both sides; the vendor writes it."""

    documented = Documented("Products", "media of a product", MEDIA)
    bodies = dict.fromkeys(("create", "update"), Form("thumbnail", position=int, type=str, url=str))
    parser_classes = (FormParser,)

    def visible(self) -> QuerySet[ProductMedia]:
        """Return the product's media."""
        return ProductMedia.objects.filter(product=self.product)

    def complete(self, rows: QuerySet[ProductMedia]) -> QuerySet[ProductMedia]:
        """Return the media without their contents, which are fetched one by one."""
        return rows.defer("content")

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Create media, for the product's vendor: 201, 400, 403 or 413."""
        product = self.own_product
        picture = _picture(request, self.body)
        values = media.MediaInput().check(_fields(request, self.body))
        return self.created(media.create(product, values, picture))

    def update(self, request: Request, **kwargs: Any) -> Response:
        """Change media, for the product's vendor: 200; what the body lacks stays as it is."""
        row = self.get_object()
        product = self.own_product
        picture = _picture(request, self.body)
        values = media.MediaInput(partial=True).check(_fields(request, self.body))
        media.update(product, row, values, picture)
        return self.answer(self.get_object())

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Delete media, for the product's vendor: 204."""
        row = self.get_object()
        media.delete(self.own_product, row)
        return Response(status=204)


def _picture(request: Request, data: Mapping[str, Any]) -> bytes | None:
    """Return the uploaded file, None where there is none.

    Raises Refused (413) before it reads more than the limit.
    """
    limits.check_length(request, "thumbnail", media.MAX_BYTES)
    file = request.FILES.get("thumbnail")
    if file is not None:
        return bytes(file.read())
    given = data.get("thumbnail")
    # What is read can be sent back: its path says nothing new.
    if given not in (None, "") and not str(given).startswith("/media/"):
        raise Invalid("thumbnail", "The submitted data was not a file.")
    return None


def _fields(request: Request, data: Mapping[str, Any]) -> Json:
    """Return the fields of a body; raises Invalid.

    Those of a form are its own, and those of its JSON part `body`, which connect-cli sends.
    """
    given = {name: data[name] for name in _FIELDS if name in data}
    inner = json_part(data, request.FILES)
    given |= {name: inner[name] for name in _FIELDS if name in inner}
    try:
        found: Json = json_validation.validate_json(given)
    except ValueError as refused:
        raise Invalid("", str(refused)) from None
    return found


urlpatterns = routes("products/(?P<product_id>[^/]+)/media", Media)
