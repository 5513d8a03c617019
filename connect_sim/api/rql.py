"""Query strings as eleven published clients send them, brought to one grammar: RQL.

CloudBlue's own django-rql does the work. What it leaves is here: the raw string is read, so
that `(`, `,`, `|` and a raw `+` survive; Django's filter syntax is converted; a malformed query
is an error in Connect's form.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from dj_rql.drf.compat import DjangoFiltersRQLFilterBackend
from py_rql.exceptions import RQLFilterParsingError
from rest_framework.request import Request

_PLAIN = re.compile(r"[\w.]+=[^=&|;,()]*")
_ORDER_BY = re.compile(r"(?:^|(?<=&))(?:order_by|ordering)=([^&()]*)")


class ConnectRQLFilterBackend(DjangoFiltersRQLFilterBackend):
    """RQL, and what older clients send instead of it."""

    @classmethod
    def modify_initial_query(cls, filter_instance: Any, request: Request, query: str) -> str:
        """Return the query without empty parts; a name that is repeated means either value."""
        query = "&".join(part for part in query.split("&") if part)
        query = _ORDER_BY.sub(lambda m: f"ordering({m[1]})" if m[1] else "", query).strip("&")
        return _either(query)

    @classmethod
    def get_query(cls, filter_instance: Any, request: Request, view: Any) -> str:
        """Return the query in RQL; raises RQLFilterParsingError."""
        raw = request._request.META.get("QUERY_STRING", "")
        try:
            unquote(raw, errors="strict")
        except UnicodeDecodeError:
            raise RQLFilterParsingError(
                details={"error": "The query is not valid UTF-8."}
            ) from None
        return super().get_query(filter_instance, request, view)  # type: ignore[no-any-return]


def _either(query: str) -> str:
    pairs = query.split("&")
    if not all(_PLAIN.fullmatch(pair) for pair in pairs):
        return query
    values: dict[str, list[str]] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        values.setdefault(name, []).append(value)
    return "&".join(
        f"{name}={found[0]}"
        if len(found) == 1
        else f"({'|'.join(f'{name}={value}' for value in found)})"
        for name, found in values.items()
    )
