"""Conversion of the query strings of published clients to RQL.

CloudBlue's django-rql parses and filters. This module reads the raw query string, so that `(`, `,`,
`|` and a raw `+` are preserved, rewrites Django's filter syntax, repeated names and `range`, and
reports malformed queries in Connect's form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlencode

from dj_rql.constants import DjangoLookups
from dj_rql.drf.compat import DjangoFiltersRQLFilterBackend
from django.http import QueryDict
from lark import Tree
from py_rql.exceptions import RQLFilterParsingError
from py_rql.parser import RQLParser
from rest_framework.request import Request

# `name=value` without RQL syntax: no function, no `name=ge=value`, no quotes.
_PLAIN = re.compile(r"([\w.]+)=((?!(?:eq|ne|gt|ge|lt|le|like|ilike|in|out)=)[^=()|;\"']*)")
# A list that the JavaScript SDK quotes as one value: `state__in="reviewing,deploying"`.
_QUOTED_LIST = re.compile(r"([\w.]+__in)=([\"'])([^\"'()|;]*)\2")
_RANGE = re.compile(r"range\(([\w.]+),([^,()]+),([^,()]+)\)")
# The names that a list is ordered by; a quoted text is skipped.
_ORDERING = re.compile(r"\"[^\"]*\"|'[^']*'|\bordering\(([^()\"']*)\)")
_PK = re.compile(r"^([+-]?)pk$")
# Lookups of Django without an equivalent in RQL.
_REGEX = re.compile(r"[\w.]+__i?regex")
# Values that need no quotes.
_BARE = re.compile(r"[\w.:+@*-]+")


# The parse tree is as deep as the query, and is walked recursively.
MAX_LENGTH = 65_536
MAX_DEPTH = 30
_TOKEN = re.compile(r"\"[^\"]*\"?|'[^']*'?|[(),|;&]|[^\"'(),|;&]+")


class ParsedQueries(dict[int, Tree]):
    """The parser's cache of parsed queries, limited in size.

    The parser's own cache keeps a thousand queries of any size: gigabytes for queries with
    thousands of ids.
    """

    MAX_QUERIES = 500
    MAX_NODES = 500

    def __setitem__(self, key: int, tree: Tree) -> None:
        """Cache a small query."""
        if sum(1 for _ in tree.iter_subtrees()) > self.MAX_NODES:
            return
        if len(self) >= self.MAX_QUERIES:
            self.clear()
        super().__setitem__(key, tree)


RQLParser._cache = ParsedQueries()


class ConnectRQLFilterBackend(DjangoFiltersRQLFilterBackend):  # type: ignore[misc]
    """Filter by RQL and by the syntax of older clients."""

    @classmethod
    def get_query(cls, filter_instance: Any, request: Request, view: Any) -> str:
        """Return the query as RQL; raises RQLFilterParsingError."""
        query = _RANGE.sub(r"(ge(\1,\2)&le(\1,\3))", read_query(request))
        query = "&".join(cls._rewrite(filter_instance, query))
        return flatten_and(_ORDERING.sub(_spell_ordering, query))

    @classmethod
    def _rewrite(cls, filter_instance: Any, query: str) -> Iterator[str]:
        """Yield the parts of the query as RQL; plain values of the same name are ORed."""
        values: dict[str, list[str]] = {}
        for part in top_level(query):
            match = _PLAIN.fullmatch(part) or _QUOTED_LIST.fullmatch(part)
            if match is None:
                yield part
            else:
                values.setdefault(match[1], []).append(match[match.re.groups])
        for name, alternatives in values.items():
            pairs = [cls._pair(filter_instance, name, value) for value in alternatives]
            terms = [pair for pair in pairs if pair]
            if terms:
                yield terms[0] if len(terms) == 1 else f"({'|'.join(terms)})"

    @classmethod
    def _pair(cls, filter_instance: Any, name: str, value: str) -> str:
        if _REGEX.fullmatch(name):
            raise _error(f"{name}: Regular expressions are not supported. Use like or ilike.")
        if "__" not in name and _BARE.fullmatch(value) and name not in cls.RESERVED_ORDERING_WORDS:
            # Unchanged: django-rql would quote it, and numbers and booleans must not be quoted.
            return f"{name}={value}"
        if value and name in DjangoLookups.all():
            # django-rql takes it for a lookup, and fails without the name before it.
            raise _error(f"Unknown property: {name}.")
        given = SimpleNamespace(query_params=QueryDict(urlencode({name: value})))
        return str(cls.get_rql_query(filter_instance, given, ""))


def _spell_ordering(match: re.Match[str]) -> str:
    """Return `ordering(-asset__id, +pk)` as `ordering(-asset.id,+id)`."""
    if match[1] is None:
        return match[0]
    names = (each.lstrip(" ").replace("__", ".") for each in match[1].split(","))
    spelled = ",".join(_PK.sub(r"\1id", name) for name in names)
    return f"ordering({spelled})"


def read_query(request: Request) -> str:
    """Return the decoded query string of a request; raises RQLFilterParsingError.

    Refuses queries that are not UTF-8, too long, or nested too deeply for the parser.
    """
    try:
        query = unquote(request.META.get("QUERY_STRING", ""), errors="strict")
    except UnicodeDecodeError:
        raise _error("The query is not valid UTF-8.") from None
    if len(query) > MAX_LENGTH:
        raise _error(f"A query may have at most {MAX_LENGTH:,} characters.")
    depth = 0
    for match in _TOKEN.finditer(query):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth > MAX_DEPTH:
            raise _error(f"A query may be nested at most {MAX_DEPTH} levels deep.")
    return query


def flatten_and(query: str) -> str:
    """Return the query with `a&b&c` written as `and(a,b,c)`.

    The grammar nests one level for each `&`, but only one level for `and()`.
    """
    out: list[str] = []
    # For each open bracket: index of its current term in `out`, and the indexes of its `&`.
    levels: list[tuple[int, list[int]]] = [(0, [])]

    def close() -> None:
        start, ampersands = levels.pop()
        if ampersands:
            for at in ampersands:
                out[at] = ","
            out[start] = f"and({out[start]}"
            out[-1] += ")"

    for match in _TOKEN.finditer(query):
        token = match[0]
        if token == "&":
            levels[-1][1].append(len(out))
        elif token in ",|;)":
            close()
        out.append(token)
        if token in "(,|;":
            levels.append((len(out), []))
        elif token == ")" and not levels:
            # Unbalanced brackets: the parser reports them.
            return query
    close()
    return "".join(out)


def _error(sentence: str) -> RQLFilterParsingError:
    return RQLFilterParsingError(details={"error": sentence})


def top_level(query: str) -> Iterator[str]:
    """Yield the parts between each `&` outside brackets and quotes."""
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
