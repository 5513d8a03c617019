"""Pages of a list: ten rows at first, as in Connect, more on request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

# A page of more would take too long to load.
SIZES = (10, 25, 50)


@dataclass(frozen=True)
class Paged:
    """A page of rows, and the addresses of the pages around it."""

    page: Page[Any]
    size: int
    _query: Any

    @property
    def rows(self) -> Any:
        """The rows of this page."""
        return self.page.object_list

    @property
    def before(self) -> str:
        """The query of the page before, empty on the first."""
        return self._at(self.page.number - 1) if self.page.has_previous() else ""

    @property
    def after(self) -> str:
        """The query of the next page, empty on the last."""
        return self._at(self.page.number + 1) if self.page.has_next() else ""

    @property
    def sizes(self) -> list[tuple[int, str]]:
        """The sizes to choose from, each with its query."""
        return [(size, self._with(size=str(size), page=None)) for size in SIZES]

    def _at(self, number: int) -> str:
        return self._with(page=str(number))

    def _with(self, **values: str | None) -> str:
        query = self._query.copy()
        for name, value in values.items():
            query.pop(name, None)
            if value is not None:
                query[name] = value
        return f"?{query.urlencode()}"


def paged(request: HttpRequest, rows: QuerySet[Any], first: int = SIZES[0]) -> Paged:
    """Return the page of the rows that the query asks for; the nearest for one that isn't there.

    `first` is its size where the query asks for none.
    """
    asked = request.GET.get("size", "")
    size = int(asked) if asked in map(str, SIZES) else first
    page = Paginator(rows, size).get_page(request.GET.get("page"))
    return Paged(page, size, request.GET)
