"""Connect's pagination: an array and `Content-Range: items <first>-<last>/<total>`."""

from __future__ import annotations

from typing import Any

from dj_rql.drf.paginations import RQLContentRangeLimitOffsetPagination
from py_rql.parser import RQLParser
from rest_framework.request import Request
from rest_framework.response import Response

from connect_sim.api.rql import flatten_and, read_query


class ContentRangePagination(RQLContentRangeLimitOffsetPagination):  # type: ignore[misc]
    """CloudBlue's pagination with 100 rows by default and at most 1,000 (clamped).

    An empty list has `items 0-0/0`, and `limit=0` has `items 0-0/<total>`, which published clients
    use to count.
    """

    default_limit = 100
    max_limit = 1000

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        """Return the rows of the page; raises RQLFilterError."""
        if not hasattr(request, "rql_ast"):
            # Views without a filter have not parsed and checked the query yet.
            query = read_query(request)
            request.rql_ast = RQLParser.parse_query(flatten_and(query)) if query else None  # type: ignore[attr-defined]
        return super().paginate_queryset(queryset, request, view)

    def get_paginated_response(self, data: list[Any]) -> Response:
        """Return the page with its header; an offset beyond the end gives an empty page."""
        last = self.offset + len(data) - 1 if data else 0
        first = self.offset if data else 0
        return Response(data, headers={"Content-Range": f"items {first}-{last}/{self.count}"})
