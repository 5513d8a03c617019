"""The SQL of lists, compiled once for an account and a query string.

Handlers repeat the same query, and for a page the ORM takes longer to build and compile its SQL
than SQLite takes to find the keys. Of the data, only counts are kept (`kept_counts`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from rest_framework.request import Request

from requests_queue import kept_counts

MAX_QUERIES = 500
MAX_LENGTH = 2000  # characters of a query string whose SQL is kept
# What filters note in the request, for paging and `select`.
_NOTES = ("rql_ast", "rql_select")

_kept: dict[Hashable, ListQuery] = {}


def keys_of(
    name: Hashable,
    request: Request,
    filtered: Callable[[], QuerySet[Any]],
    cheaper_count: Callable[[str], str],
) -> ListQuery | QuerySet[Any]:
    """Return the keys of the filtered rows, to be counted and sliced, by SQL that is kept.

    `name` and the query string have to decide about the rows that `filtered` selects.
    `cheaper_count` returns a statement of the same parameters and result as the one that counts.
    """
    query = request._request.META.get("QUERY_STRING", "")
    listed = _kept.get((name, query))
    if listed is not None:
        for note, value in listed.notes.items():
            setattr(request, note, value)
        return listed
    rows = filtered().values_list("pk", flat=True)
    if len(query) > MAX_LENGTH:
        return rows
    notes = {note: getattr(request, note) for note in _NOTES if hasattr(request, note)}
    try:
        listed = ListQuery(rows, notes, cheaper_count)
    except EmptyResultSet:
        # There is no SQL that selects nothing.
        return rows
    if len(_kept) >= MAX_QUERIES:
        _kept.clear()
    _kept[name, query] = listed
    return listed


class ListQuery:
    """The compiled query of the keys of a list; of all threads."""

    def __init__(
        self, rows: QuerySet[Any], notes: dict[str, Any], cheaper_count: Callable[[str], str]
    ) -> None:
        self.model, self.notes = rows.model, notes
        self._text, self._params = rows.query.get_compiler(connection=connection).as_sql()
        self._rows, self._cheaper_count = rows, cheaper_count
        self._count: tuple[str, tuple[Any, ...]] | None = None

    def count(self) -> int:
        """Return how many keys there are."""
        if self._count is None:
            return self._first_count()
        return kept_counts.count(*self._count)

    def __getitem__(self, page: slice) -> list[Any]:
        """Return the keys of a page, in order."""
        limits = f" LIMIT {page.stop - page.start}" + (
            f" OFFSET {page.start}" if page.start else ""
        )
        with connection.cursor() as cursor:
            cursor.execute(self._text + limits, self._params)
            return [key for (key,) in cursor.fetchall()]

    def _first_count(self) -> int:
        """Count as the ORM does, and note what counts from then on."""
        statements: list[tuple[str, Any]] = []

        def note(execute: Any, text: str, params: Any, many: bool, context: Any) -> Any:
            statements.append((text, params))
            return execute(text, params, many, context)

        with connection.execute_wrapper(note):
            count = self._rows.count()
        [(text, params)] = statements
        self._count = self._cheaper_count(text), tuple(params)
        return count
