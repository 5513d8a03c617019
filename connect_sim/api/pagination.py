"""Lists as Connect sends them: a bare array and `Content-Range: items <first>-<last>/<total>`."""

from __future__ import annotations

from typing import Any

from dj_rql.drf.paginations import RQLContentRangeLimitOffsetPagination
from rest_framework.response import Response


class ContentRangePagination(RQLContentRangeLimitOffsetPagination):  # type: ignore[misc]
    """CloudBlue's own pagination, 100 rows by default and 1,000 at most (larger is clamped).

    An empty list says `items 0-0/0`, `limit=0` says `items 0-0/<total>`: published clients
    count with it.
    """

    default_limit = 100
    max_limit = 1000

    def get_paginated_response(self, data: list[Any]) -> Response:
        """Return the page with its header; an offset beyond the end is an empty page."""
        last = self.offset + len(data) - 1 if data else 0
        first = self.offset if data else 0
        return Response(data, headers={"Content-Range": f"items {first}-{last}/{self.count}"})
