"""The headers of a webhook as rows of a form: what was typed, and what is wrong with each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.http import QueryDict

from webhooks.http.headers import MAX_HEADERS, HeaderRefused, check_headers, masked, unmasked

NAME, VALUE = "header_name", "header_value"
_SPARE = 2


@dataclass(slots=True)
class HeaderRow:
    """A row: name and value as they were typed, and a sentence where they can't be sent."""

    name: str = ""
    value: str = field(default="", repr=False)
    error: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it, so that it counts for nothing."""
        return not self.name and not self.value


def typed(data: QueryDict) -> list[HeaderRow]:
    """Return the rows of a form that was sent; names without the white space around them."""
    pairs = zip(data.getlist(NAME), data.getlist(VALUE), strict=False)
    return [HeaderRow(name.strip(), value) for name, value in pairs]


def stored(headers: Mapping[str, str]) -> list[HeaderRow]:
    """Return the rows of headers that a webhook has, values masked, and some to fill in."""
    found = [HeaderRow(name, value) for name, value in masked(headers).items()]
    return [*found, *(HeaderRow() for _ in range(min(_SPARE, MAX_HEADERS - len(found))))]


def check(rows: Sequence[HeaderRow], stored: Mapping[str, str]) -> dict[str, str]:
    """Return the headers, with stored values in place of masks; each row tells its own error.

    Raises HeaderRefused for what is wrong with all of them together.
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
            row.error = f"{row.name} is the same header as {first}: keep one of them."
        seen.setdefault(row.name.lower(), row.name)
    return check_headers(headers) if not any(row.error for row in rows) else {}


def add(data: QueryDict) -> QueryDict:
    """Return a form that was sent, with one more row in it."""
    more = data.copy()
    if len(more.getlist(NAME)) < MAX_HEADERS:
        more.appendlist(NAME, "")
        more.appendlist(VALUE, "")
    return more
