"""Pages of a list: ten rows by default, as in Connect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict

# A longer page would take too long to load.
SIZES = (10, 25, 50)


@dataclass(frozen=True)
class Paged:
    """A page of rows, and the queries of the pages around it."""

    page: Page[Any]
    size: int
    query: QueryDict

    @property
    def rows(self) -> Any:
        return self.page.object_list

    @property
    def before(self) -> str:
        """The query of the previous page, empty on the first."""
        return self._with(page=self.page.number - 1) if self.page.has_previous() else ""

    @property
    def after(self) -> str:
        """The query of the next page, empty on the last."""
        return self._with(page=self.page.number + 1) if self.page.has_next() else ""

    @property
    def sizes(self) -> list[tuple[int, str]]:
        """The sizes to choose from, each with its query."""
        return [(size, self._with(size=size, page=None)) for size in SIZES]

    def _with(self, **values: int | None) -> str:
        return with_values(self.query, **values)


def paged(request: HttpRequest, rows: QuerySet[Any], default: int = SIZES[0]) -> Paged:
    """Return the requested page of the rows, or the nearest existing one."""
    requested = request.GET.get("size", "")
    size = int(requested) if requested in map(str, SIZES) else default
    page = Paginator(rows, size).get_page(request.GET.get("page"))
    return Paged(page, size, request.GET)


def with_values(query: QueryDict, **values: Any) -> str:
    """Return a query string with some values changed, or removed if None or empty."""
    changed = query.copy()
    for name, value in values.items():
        changed.pop(name, None)
        if value not in (None, ""):
            changed[name] = str(value)
    return f"?{changed.urlencode()}"
