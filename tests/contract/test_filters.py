"""Lists support every filter of Connect's OpenAPI document, except those of one table."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

import pytest

from tests.api import Caller
from tests.contract import calls, routes

pytestmark = pytest.mark.django_db

FILTERS = Path(__file__).with_name("connect_filters.txt")
# Queries that are joined in one, by operator: SQLite joins at most 64 tables, and a list is
# ordered by five names.
AT_ONCE = {"or": 60, "&": 60, "select": 60, "ordering": 5, "alone": 1}
# By the document's type: two values to compare with.
VALUES = {
    "string": ("x", "y"),
    "integer": ("1", "2"),
    "boolean": ("true", "false"),
    "date-time": ("2026-11-01T10:00:00+00:00", "2026-11-02T10:00:00+00:00"),
}
# Names of filters with wildcards, whose values are of another type than the document's `string`.
TYPES = {
    "/usage/files created.at": "date-time",
    "/products visibility.*": "boolean",
    "/products/{}*/parameters constraints.required": "boolean",
    "/listings pending_request__is_null": "boolean",
}
_NUMBERED = "the id follows from others: it is compared as a whole"
_NO_QUERY = "the list is made without a query of the database"
# `PATH NAME LOOKUP` with wildcards, and why it is refused. Unused rows fail.
REFUSED: dict[str, str] = {
    "/accounts type *": "the document's words are capitalized here, and small in its objects",
    "/accounts/{}/users permissions select": "users have no permissions of their own",
    "/categories *": _NO_QUERY,
    "/conversations id *like": _NUMBERED,
    "/conversations/{}/messages id *like": _NUMBERED,
    "/localization/locales *": _NO_QUERY,
    "/localization/translations id *like": _NUMBERED,
    "/localization/translations/{}/attributes *": _NO_QUERY,
    "/products status [gl][et]": "statuses have no order",
    "/products/{}/configurations parameter.id *like": _NUMBERED,
    "/products/{}/configurations parameter.id ordering": _NUMBERED,
    "/products/{}*/parameters constraints.required in": "there are two values",
    "/products/{}*/parameters id *like": _NUMBERED,
    "/tier/accounts scopes *like": "a list of words, which are compared as a whole",
}


def documented() -> Iterator[tuple[str, str, str]]:
    """Yield the path of each filter of a served list, `PATH NAME LOOKUP`, and a query by it."""
    served = {path for method, path in routes.operations() if method == "GET"}
    served |= {f"/{path.removeprefix(routes.PREFIX)}" for path in routes.elsewhere()}
    for line in FILTERS.read_text().splitlines():
        if line.startswith("#"):
            continue
        path, name, kind, lookups, *flags = line.split()
        if path in served:
            kind = next((t for row, t in TYPES.items() if fnmatchcase(f"{path} {name}", row)), kind)
            for lookup, query in _queries(name, kind, lookups, flags):
                yield path, f"{path} {name} {lookup}", query


def _queries(name: str, kind: str, lookups: str, flags: list[str]) -> Iterator[tuple[str, str]]:
    word = kind.partition(":")[2]
    one, two = (word, word) if word else VALUES[kind]
    for lookup in lookups.split(","):
        match lookup:
            case "select":
                yield lookup, f"select({name})" if "hidden" in flags else f"select(-{name})"
            case "null":
                yield lookup, f"ne({name},null())"
            case "in" | "out":
                yield lookup, f"{lookup}({name},({one},{two}))"
            case "like" | "ilike":
                yield lookup, f"{lookup}({name},*{one}*)"
            case "eq" if "__" in name:
                # Names with lookups of Django are known in this form.
                yield lookup, f"{name}={one}"
            case _:
                yield lookup, f"{lookup}({name},{one})"
    if "ordering" in flags:
        yield "ordering", f"ordering(-{name})"


def operator(query: str) -> str:
    """Return what joins a query and others of its kind in one: a function of RQL, or `&`."""
    name, is_call, _ = query.partition("(")
    return "&" if not is_call else name if name in AT_ONCE else "or"


def together(queries: list[str]) -> str:
    """Return a query for what any of these finds, which are of one kind."""
    name = operator(queries[0])
    if name == "&" or len(queries) == 1:
        return "&".join(queries)
    parts = queries if name == "or" else [each[len(name) + 1 : -1] for each in queries]
    return f"{name}({','.join(parts)})"


def test_every_filter_of_the_document_is_supported(vendor: Caller) -> None:
    kinds: dict[tuple[str, str], dict[str, str]] = {}
    for path, name, query in documented():
        kind = "alone" if is_known(name) else operator(query)
        kinds.setdefault((path, kind), {})[name] = query
    refused = []
    for (path, kind), queries in kinds.items():
        where, names = next(calls.filled(path, vendor, 1)), iter(queries)
        # Many in one query, and alone only where it is refused.
        while part := [*islice(names, AT_ONCE[kind])]:
            if vendor.get(f"{where}?{together([queries[each] for each in part])}").status == 200:
                continue
            for name in part:
                response = vendor.get(f"{where}?{queries[name]}")
                assert response.status in (200, 400), (where, name, response)
                if response.status == 400:
                    refused.append(name)
    unknown = [each for each in refused if not is_known(each)]
    assert not unknown, "\n".join(["", *unknown])
    assert [row for row in REFUSED if not any(fnmatchcase(each, row) for each in refused)] == []


def is_known(name: str) -> bool:
    """Return whether the table says that a filter is refused."""
    return any(fnmatchcase(name, row) for row in REFUSED)


def test_the_table_has_filters_of_most_lists() -> None:
    assert len({name.rpartition(" ")[0] for _, name, _ in documented()}) > 500
