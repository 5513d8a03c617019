"""`/localization/translations`: the primary translation of each product, read by connect-cli."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, Model, QuerySet, Value
from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from requests_queue.api.schema import Answer, Documented
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Product
from requests_queue.catalog.representations import translations
from requests_queue.catalog.representations.translations import TRANSLATION
from requests_queue.catalog.rest import Collection, routes

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Translations(Collection):
    """`/localization/translations`, for both sides, read-only: of the products that they see."""

    documented = Documented(
        "Localization",
        "translation",
        TRANSLATION,
        answers={"attributes": Answer(200, str, (_XLSX,))},
    )

    def visible(self) -> QuerySet[Product]:
        primary = Value(True, BooleanField())
        return visibility.products(self.account).alias(is_primary=primary)

    def find(self, rows: QuerySet[Any], pk: str) -> Model | None:
        """Return the product by the id of its translation."""
        return rows.filter(translations.translation_by_id(pk)).first()

    @action(detail=True, methods=["get"])
    def attributes(self, request: Request, pk: str) -> HttpResponse:
        """Return the workbook of the texts: 200."""
        content = translations.attributes(self.get_object())
        return HttpResponse(content, content_type=_XLSX)


urlpatterns = routes("localization/translations", Translations)
