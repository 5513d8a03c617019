"""Connect's pagination: an array and `Content-Range: items <first>-<last>/<total>`."""

from __future__ import annotations

import re
from typing import Any

from dj_rql.transformer import RQLLimitOffsetTransformer
from lark import Tree
from lark.exceptions import LarkError
from py_rql.exceptions import RQLFilterParsingError
from py_rql.parser import RQLParser
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response

from connect_sim.api.rql import flatten_and, read_query
from requests_queue import assumptions
from requests_queue.api.filter_tables import plain

# A row's number that both databases take.
_MAX_OFFSET = 2**62
_DIGITS = re.compile(r"[0-9]+")
# More than `_MAX_OFFSET` has. Python refuses to convert thousands of digits.
_MAX_DIGITS = 100


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


def _number(name: str, value: str | None, default: int) -> int:
    """Return the limit or offset of a query, `default` without one; raises RQLFilterParsingError.

    Of a long number the first digits count: they are beyond all rows already.
    """
    if value is None:
        return default
    digits = plain(value)
    if not _DIGITS.fullmatch(digits):
        if assumptions.value("invalid_limit") == "ignored":
            return default
        raise RQLFilterParsingError(details={"error": f"{name}: Not a whole number of 0 or more."})
    return int(digits[:_MAX_DIGITS])


class ContentRangePagination(LimitOffsetPagination):
    """CloudBlue's pagination with 100 rows by default (assumed) and at most 1,000 (clamped).

    An empty list has `items 0-0/0`, and `limit=0` has `items 0-0/<total>`, which published clients
    use to count.
    """

    max_limit = 1000

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        """Return the rows of the page; raises RQLFilterError."""
        if not hasattr(request, "rql_ast"):
            # Views without a filter have not parsed and checked the query yet.
            query = read_query(request)
            request.rql_ast = RQLParser.parse_query(flatten_and(query)) if query else None  # type: ignore[attr-defined]
        asked = _limits(request.rql_ast)  # type: ignore[attr-defined]
        limit = min(
            _number("limit", asked[0], int(assumptions.value("default_page"))), self.max_limit
        )
        offset = _number("offset", asked[1], 0)
        is_beyond = offset > _MAX_OFFSET
        page = [] if is_beyond else list(queryset[offset : offset + limit])
        if 0 < len(page) < limit or (limit and not page and not offset):
            # The last page: counting would read all entries of the index.
            self.count = offset + len(page)
        else:
            self.count = self.get_count(queryset)
        self.limit, self.offset = limit, offset
        return page

    def get_paginated_response(self, data: list[Any]) -> Response:
        """Return the page with its header; an offset beyond the end gives an empty page."""
        first = (self.offset or 0) if data else 0
        last = first + len(data) - 1 if data else 0
        return Response(data, headers={"Content-Range": f"items {first}-{last}/{self.count}"})
