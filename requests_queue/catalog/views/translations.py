"""`/localization/translations`: the primary translation of each product, read by connect-cli."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from requests_queue.api.schema import Answer, Documented
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Product
from requests_queue.catalog.representations import translations
from requests_queue.catalog.representations.translations import ATTRIBUTE, TRANSLATION
from requests_queue.catalog.rest import Collection, routes
from requests_queue.catalog.views.reference_lists import page_of

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Translations(Collection):
    """`/localization/translations`, for both sides, read-only: of the products that they see."""

    documented = Documented(
        "Localization",
        "translation",
        TRANSLATION,
        answers={"attributes": Answer(200, [ATTRIBUTE], files=(_XLSX,))},
    )
    lists = frozenset({"attributes"})

    def visible(self) -> QuerySet[Product]:
        return visibility.products(self.account)

    def find(self, rows: QuerySet[Any], pk: str) -> Model | None:
        """Return the product by the id of its translation."""
        return rows.filter(translations.translation_by_id(pk)).first()

    @action(detail=True, methods=["get"])
    def attributes(self, request: Request, pk: str) -> HttpResponse:
        """Return 200 with a page of the texts, or their workbook if `Accept` has its type."""
        row = self.get_object()
        # Media types don't depend on case (RFC 9110, 8.3.1).
        if _XLSX in request.headers.get("Accept", "").lower():
            return HttpResponse(translations.workbook(row), content_type=_XLSX)
        return page_of(translations.attributes(row), request, self)


urlpatterns = routes("localization/translations", Translations)
