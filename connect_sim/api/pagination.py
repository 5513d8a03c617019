"""Lists as Connect sends them: a bare array and `Content-Range: items <first>-<last>/<total>`."""

from __future__ import annotations

from typing import Any

from dj_rql.drf.paginations import RQLContentRangeLimitOffsetPagination
from py_rql.parser import RQLParser
from rest_framework.request import Request
from rest_framework.response import Response

from connect_sim.api.rql import flat, read_query


class ContentRangePagination(RQLContentRangeLimitOffsetPagination):  # type: ignore[misc]
    """CloudBlue's own pagination, 100 rows by default and 1,000 at most (larger is clamped).

    An empty list says `items 0-0/0`, `limit=0` says `items 0-0/<total>`: published clients
    count with it.
    """

    default_limit = 100
    max_limit = 1000

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        """Return the rows of the page; raises RQLFilterError."""
        if not hasattr(request, "rql_ast"):
            # No filter has read the query, and so none has checked it.
            query = read_query(request)
            request.rql_ast = RQLParser.parse_query(flat(query)) if query else None  # type: ignore[attr-defined]
        return super().paginate_queryset(queryset, request, view)

    def get_paginated_response(self, data: list[Any]) -> Response:
        """Return the page with its header; an offset beyond the end is an empty page."""
        last = self.offset + len(data) - 1 if data else 0
        first = self.offset if data else 0
        return Response(data, headers={"Content-Range": f"items {first}-{last}/{self.count}"})
