"""Query strings as eleven published clients send them, brought to one grammar: RQL.

CloudBlue's own django-rql parses and filters. What it leaves is here: the raw string is read, so
that `(`, `,`, `|` and a raw `+` survive; Django's filter syntax, repeated names and `range` are
rewritten; a malformed query is an error in Connect's form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from dj_rql.drf.compat import DjangoFiltersRQLFilterBackend
from py_rql.exceptions import RQLFilterParsingError
from rest_framework.request import Request

# `name=value` and nothing of RQL in it: no call, no `name=ge=value`, no quotes.
_PLAIN = re.compile(r"([\w.]+)=((?!(?:eq|ne|gt|ge|lt|le|like|ilike|in|out)=)[^=()|;\"']*)")
# A list that the JS SDK quotes as one value: `state__in="reviewing,deploying"`.
_QUOTED_LIST = re.compile(r"([\w.]+__in)=([\"'])([^\"'()|;]*)\2")
_RANGE = re.compile(r"range\(([\w.]+),([^,()]+),([^,()]+)\)")
# Values that need no quotes; quoted ones may hold anything but the quote.
_BARE = re.compile(r"[\w.:+@*-]+")


class ConnectRQLFilterBackend(DjangoFiltersRQLFilterBackend):  # type: ignore[misc]
    """RQL, and what older clients send instead of it."""

    @classmethod
    def get_query(cls, filter_instance: Any, request: Request, view: Any) -> str:
        """Return the query in RQL; raises RQLFilterParsingError."""
        raw = request._request.META.get("QUERY_STRING", "")
        try:
            query = unquote(raw, errors="strict")
        except UnicodeDecodeError:
            raise RQLFilterParsingError(
                details={"error": "The query is not valid UTF-8."}
            ) from None
        query = _RANGE.sub(r"(ge(\1,\2)&le(\1,\3))", query)
        return "&".join(cls._rewrite(filter_instance, query))

    @classmethod
    def _rewrite(cls, filter_instance: Any, query: str) -> Iterator[str]:
        """Yield the parts of the query in RQL; plain values of one name mean either of them."""
        values: dict[str, list[str]] = {}
        for part in top_level(query):
            match = _PLAIN.fullmatch(part) or _QUOTED_LIST.fullmatch(part)
            if match is None:
                yield part
            else:
                values.setdefault(match[1], []).append(match[match.re.groups])
        for name, found in values.items():
            pairs = [cls._pair(filter_instance, name, value) for value in found]
            given = [pair for pair in pairs if pair]
            if given:
                yield given[0] if len(given) == 1 else f"({'|'.join(given)})"

    @classmethod
    def _pair(cls, filter_instance: Any, name: str, value: str) -> str | None:
        if "__" not in name and _BARE.fullmatch(value) and name not in cls.RESERVED_ORDERING_WORDS:
            # As it stands: django-rql would quote it, and then no number or boolean fits.
            return f"{name}={value}"
        return cls._get_one_filter_value_pair(filter_instance, name, value)  # type: ignore[no-any-return]


def top_level(query: str) -> Iterator[str]:
    """Yield the parts between the `&` that stand outside brackets and quotes."""
    depth, quote, start = 0, "", 0
    for at, char in enumerate(query):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "&" and depth == 0:
            if at > start:
                yield query[start:at]
            start = at + 1
    if start < len(query):
        yield query[start:]
