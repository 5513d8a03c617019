"""Headers in a form: a row of name and value each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django import forms
from django.http import QueryDict

from webhooks.http.headers import MAX_HEADERS, HeaderRefused, check_headers, masked, unmasked

_NAME, _VALUE = "header_name", "header_value"
_EMPTY_ROWS = 2


@dataclass(slots=True)
class HeaderRow:
    """A header as it was typed, and its error."""

    name: str = ""
    value: str = field(default="", repr=False)
    error: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.name and not self.value


def typed(data: QueryDict) -> list[HeaderRow]:
    """Return the rows of a submitted form, with names stripped."""
    pairs = zip(data.getlist(_NAME), data.getlist(_VALUE), strict=False)
    return [HeaderRow(name.strip(), value) for name, value in pairs]


def stored(headers: Mapping[str, str]) -> list[HeaderRow]:
    """Return the rows of stored headers, values masked, and some empty rows."""
    rows = [HeaderRow(name, value) for name, value in masked(headers).items()]
    return [*rows, *(HeaderRow() for _ in range(min(_EMPTY_ROWS, MAX_HEADERS - len(rows))))]


def check(rows: Sequence[HeaderRow], known: Mapping[str, str]) -> dict[str, str]:
    """Return the headers, with `known` values for masks; raises ValidationError.

    Each row shows its own error.
    """
    seen: dict[str, str] = {}
    headers: dict[str, str] = {}
    for row in rows:
        if row.is_empty:
            continue
        try:
            headers |= check_headers(unmasked({row.name: row.value}, known))
        except HeaderRefused as refused:
            row.error = str(refused)
            continue
        if first := seen.get(row.name.lower()):
            row.error = f"{row.name} is the same header as {first}. Remove one of them."
        seen.setdefault(row.name.lower(), row.name)
    if invalid := sum(bool(row.error) for row in rows):
        raise forms.ValidationError(
            "Correct the header below." if invalid == 1 else f"Correct the {invalid} headers below."
        )
    try:
        return check_headers(headers)
    except HeaderRefused as refused:
        raise forms.ValidationError(str(refused)) from None


def with_empty_row(data: QueryDict) -> QueryDict:
    """Return a submitted form with an additional row for a header."""
    more = data.copy()
    if len(more.getlist(_NAME)) < MAX_HEADERS:
        more.appendlist(_NAME, "")
        more.appendlist(_VALUE, "")
    return more
