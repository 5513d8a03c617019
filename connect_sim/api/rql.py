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
from lark import Tree
from py_rql.exceptions import RQLFilterParsingError
from py_rql.parser import RQLParser
from rest_framework.request import Request

# `name=value` and nothing of RQL in it: no call, no `name=ge=value`, no quotes.
_PLAIN = re.compile(r"([\w.]+)=((?!(?:eq|ne|gt|ge|lt|le|like|ilike|in|out)=)[^=()|;\"']*)")
# A list that the JS SDK quotes as one value: `state__in="reviewing,deploying"`.
_QUOTED_LIST = re.compile(r"([\w.]+__in)=([\"'])([^\"'()|;]*)\2")
_RANGE = re.compile(r"range\(([\w.]+),([^,()]+),([^,()]+)\)")
# Django's lookups that RQL has no like of.
_REGEX = re.compile(r"[\w.]+__i?regex")
# Values that need no quotes; quoted ones may hold anything but the quote.
_BARE = re.compile(r"[\w.:+@*-]+")


# The parser keeps what it has parsed in a tree as deep as the query, which is walked by recursion.
MAX_LENGTH = 65_536
MAX_DEPTH = 30
_TOKEN = re.compile(r"\"[^\"]*\"?|'[^']*'?|[(),|;&]|[^\"'(),|;&]+")


class ParsedQueries(dict[int, Tree]):
    """The parser's cache of parsed queries, bounded by memory.

    The one that it comes with keeps a thousand queries of any size: of lists with thousands of
    ids that is gigabytes.
    """

    MOST = 500
    NODES = 500

    def __setitem__(self, key: int, tree: Tree) -> None:
        """Keep a small query."""
        if sum(1 for _ in tree.iter_subtrees()) > self.NODES:
            return
        if len(self) >= self.MOST:
            self.clear()
        super().__setitem__(key, tree)


RQLParser._cache = ParsedQueries()


class ConnectRQLFilterBackend(DjangoFiltersRQLFilterBackend):  # type: ignore[misc]
    """RQL, and what older clients send instead of it."""

    @classmethod
    def get_query(cls, filter_instance: Any, request: Request, view: Any) -> str:
        """Return the query in RQL; raises RQLFilterParsingError."""
        query = _RANGE.sub(r"(ge(\1,\2)&le(\1,\3))", read_query(request))
        return flat("&".join(cls._rewrite(filter_instance, query)))

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
        if _REGEX.fullmatch(name):
            raise _wrong(f"{name}: Regular expressions are not supported. Use like or ilike.")
        if "__" not in name and _BARE.fullmatch(value) and name not in cls.RESERVED_ORDERING_WORDS:
            # As it stands: django-rql would quote it, and then no number or boolean fits.
            return f"{name}={value}"
        return cls._get_one_filter_value_pair(filter_instance, name, value)  # type: ignore[no-any-return]


def read_query(request: Request) -> str:
    """Return the query string of a request, decoded; raises RQLFilterParsingError.

    Refused: what is not UTF-8, too long, or nested too deeply for the parser.
    """
    try:
        query = unquote(request._request.META.get("QUERY_STRING", ""), errors="strict")
    except UnicodeDecodeError:
        raise _wrong("The query is not valid UTF-8.") from None
    if len(query) > MAX_LENGTH:
        raise _wrong(f"A query may have at most {MAX_LENGTH:,} characters.")
    depth = 0
    for match in _TOKEN.finditer(query):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth > MAX_DEPTH:
            raise _wrong(f"A query may be nested at most {MAX_DEPTH} levels deep.")
    return query


def flat(query: str) -> str:
    """Return the query with `a&b&c` written as `and(a,b,c)`.

    The grammar nests what `&` joins, one level for each, and what `and()` joins not at all.
    """
    out: list[str] = []
    # Of each open bracket: where its current term begins, and the places of the `&` in that.
    levels: list[tuple[int, list[int]]] = [(0, [])]

    def close() -> None:
        start, joints = levels.pop()
        if joints:
            for at in joints:
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
            # One too many: the parser says so.
            return query
    close()
    return "".join(out)


def _wrong(sentence: str) -> RQLFilterParsingError:
    return RQLFilterParsingError(details={"error": sentence})


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
