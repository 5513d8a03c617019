"""The headers of a webhook as rows of a form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.http import QueryDict

from webhooks.http.headers import MAX_HEADERS, HeaderRefused, check_headers, masked, unmasked

NAME, VALUE = "header_name", "header_value"
_EMPTY_ROWS = 2


@dataclass(slots=True)
class HeaderRow:
    """A header as it was typed, and its error."""

    name: str = ""
    value: str = field(default="", repr=False)
    error: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether the row is ignored."""
        return not self.name and not self.value


def typed(data: QueryDict) -> list[HeaderRow]:
    """Return the rows of a submitted form, with names stripped."""
    pairs = zip(data.getlist(NAME), data.getlist(VALUE), strict=False)
    return [HeaderRow(name.strip(), value) for name, value in pairs]


def stored(headers: Mapping[str, str]) -> list[HeaderRow]:
    """Return the rows of a webhook's headers, values masked, and some empty rows."""
    rows = [HeaderRow(name, value) for name, value in masked(headers).items()]
    return [*rows, *(HeaderRow() for _ in range(min(_EMPTY_ROWS, MAX_HEADERS - len(rows))))]


def check(rows: Sequence[HeaderRow], stored: Mapping[str, str]) -> dict[str, str]:
    """Return the headers, with stored values in place of masks; errors are set on the rows.

    Raises HeaderRefused for errors of all headers together.
    """
    seen: dict[str, str] = {}
    headers: dict[str, str] = {}
    for row in rows:
        if row.is_empty:
            continue
        try:
            headers |= check_headers(unmasked({row.name: row.value}, stored))
        except HeaderRefused as refused:
            row.error = str(refused)
            continue
        if first := seen.get(row.name.lower()):
            row.error = f"{row.name} is the same header as {first}. Remove one of them."
        seen.setdefault(row.name.lower(), row.name)
    return check_headers(headers) if not any(row.error for row in rows) else {}


def add(data: QueryDict) -> QueryDict:
    """Return a submitted form with an additional row."""
    more = data.copy()
    if len(more.getlist(NAME)) < MAX_HEADERS:
        more.appendlist(NAME, "")
        more.appendlist(VALUE, "")
    return more
