"""Connect's pagination: an array and `Content-Range: items <first>-<last>/<total>`."""

from __future__ import annotations

from typing import Any

from dj_rql.drf.paginations import RQLContentRangeLimitOffsetPagination
from dj_rql.transformer import RQLLimitOffsetTransformer
from lark import Tree
from lark.exceptions import LarkError
from py_rql.exceptions import RQLFilterParsingError
from py_rql.parser import RQLParser
from rest_framework.request import Request
from rest_framework.response import Response

from connect_sim.api.rql import flatten_and, read_query

# A row's number that both databases take.
_MAX_OFFSET = 2**62


def _limits(ast: Tree | None) -> tuple[Any, Any]:
    """Return the limit and the offset of a parsed query; raises RQLFilterParsingError."""
    if ast is None:
        return None, None
    try:
        limit, offset = RQLLimitOffsetTransformer().transform(ast)
    except LarkError:
        raise RQLFilterParsingError(
            details={"error": "Limit and offset are set incorrectly."}
        ) from None
    return limit, offset


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
        self._rql_limit, self._rql_offset = _limits(request.rql_ast)  # type: ignore[attr-defined]
        self.limit, self.offset = self.get_limit(request), self.get_offset(request)
        if not self.limit:
            self.count, self.offset = self.get_count(queryset), 0
            return []
        is_beyond = self.offset > _MAX_OFFSET
        page = [] if is_beyond else list(queryset[self.offset : self.offset + self.limit])
        if 0 < len(page) < self.limit or (not page and not self.offset):
            # The last page: counting would read all entries of the index.
            self.count = self.offset + len(page)
        else:
            self.count = self.get_count(queryset)
        return page

    def get_paginated_response(self, data: list[Any]) -> Response:
        """Return the page with its header; an offset beyond the end gives an empty page."""
        last = self.offset + len(data) - 1 if data else 0
        first = self.offset if data else 0
        return Response(data, headers={"Content-Range": f"items {first}-{last}/{self.count}"})
