"""Lists that connect-cli reads to export and synchronize a product, and Adobe's reports.

They have no objects of their own: categories and units are those of products, locales are
constants, a product has no messages, and there are no price lists.
"""

from __future__ import annotations

from typing import Any, cast

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from requests_queue.api.schema import Json
from requests_queue.catalog import categories, visibility
from requests_queue.catalog.models import Account, Item, User
from requests_queue.db.rows import get_row
from requests_queue.errors import Invalid, Missing

_LOCALES = {
    "CS": "Czech",
    "DA": "Danish",
    "DE": "German",
    "EN": "English",
    "ES": "Spanish",
    "FR": "French",
    "IT": "Italian",
    "JA": "Japanese",
    "NL": "Dutch",
    "NO": "Norwegian",
    "PL": "Polish",
    "PT": "Portuguese",
}


class ReferenceList(APIView):
    """A list in pages, without filters."""

    # Set by `as_view`: returns the objects that an account sees, by the names in the path.
    rows: Any = None

    def get(self, request: Request, **names: str) -> Response:
        """Return 200 with an array and `Content-Range`; raises Invalid for a filter."""
        rows = self.rows(cast(Account, cast(User, request.user).account), **names)
        return page_of(rows, request, self)


class ReferenceDetail(ReferenceList):
    """An object of such a list."""

    def get(self, request: Request, **names: str) -> Response:
        """Return 200 with the object; raises Missing."""
        pk = names["pk"]
        rows = self.rows(cast(Account, cast(User, request.user).account))
        found = next((row for row in rows if row["id"] == pk), None)
        if found is None:
            raise Missing(pk)
        return Response(found)


def page_of(rows: list[Json], request: Request, view: APIView) -> Response:
    """Return 200 with a page of objects that have no filters; raises Invalid for a filter."""
    make_pager: Any = api_settings.DEFAULT_PAGINATION_CLASS
    pager = make_pager()
    page = pager.paginate_queryset(rows, request, view)
    # Whatever the filter, an empty list is what it finds in one.
    if rows and set(request.query_params) - {"limit", "offset"}:
        raise Invalid("", "This list has no filters.")
    response: Response = pager.get_paginated_response(page)
    return response


def _locales(account: Account) -> list[Json]:
    """Return languages, by id."""
    return [{"id": pk, "name": name} for pk, name in _LOCALES.items()]


def _messages(account: Account, product_id: str) -> list[Json]:
    """Return nothing for a product that the account sees; raises Missing."""
    get_row(visibility.products(account), product_id)
    return []


def _units(account: Account) -> list[Json]:
    """Return what the items that an account sees are counted in, each once per type of item."""
    items = Item.objects.filter(product__in=visibility.products(account))
    found = sorted(
        {
            (unit["id"], kind.lower(), unit.get("title", ""))
            for unit, kind in items.values_list("unit", "type")
            if unit.get("id")
        }
    )
    return [
        {"id": pk, "unit": "unit", "description": title, "type": kind} for pk, kind, title in found
    ]


def _price_lists(account: Account) -> list[Json]:
    """Return nothing: there are no price lists, and so no versions of them."""
    return []


urlpatterns = [
    path("categories", ReferenceList.as_view(rows=categories.known)),
    path("categories/<str:pk>", ReferenceDetail.as_view(rows=categories.known)),
    path("localization/locales", ReferenceList.as_view(rows=_locales)),
    path("pricing/versions", ReferenceList.as_view(rows=_price_lists)),
    path("products/<str:product_id>/messages", ReferenceList.as_view(rows=_messages)),
    path("settings/units", ReferenceList.as_view(rows=_units)),
]
