"""Lists support every filter of Connect's OpenAPI document, except those of one table."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.api import Caller
from tests.contract import calls, routes

pytestmark = pytest.mark.django_db

FILTERS = Path(__file__).with_name("connect_filters.txt")
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


def documented() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield path and name of each filter of a served list, with queries by what they use of it."""
    served = {path for method, path in routes.operations() if method == "GET"}
    served |= {f"/{path.removeprefix(routes.PREFIX)}" for path in routes.elsewhere()}
    for line in FILTERS.read_text().splitlines():
        if line.startswith("#"):
            continue
        path, name, kind, lookups, *flags = line.split()
        if path in served:
            kind = next((t for row, t in TYPES.items() if fnmatchcase(f"{path} {name}", row)), kind)
            yield path, name, dict(_queries(name, kind, lookups, flags))


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
            case "eq":
                # Names with lookups of Django are known in this form.
                yield lookup, f"{name}={one}"
            case _:
                yield lookup, f"{lookup}({name},{one})"
    if "ordering" in flags:
        yield "ordering", f"ordering(-{name})"


def test_every_filter_of_the_document_is_supported(vendor: Caller) -> None:
    refused = []
    for path, name, queries in documented():
        where = next(calls.filled(path, vendor, 1))
        # All in one query, and alone only where it is refused.
        if vendor.get(f"{where}?{'&'.join(queries.values())}").status == 200:
            continue
        for lookup, query in queries.items():
            response = vendor.get(f"{where}?{query}")
            assert response.status in (200, 400), (where, query, response)
            if response.status == 400:
                refused.append(f"{path} {name} {lookup}")
    unknown = [each for each in refused if not any(fnmatchcase(each, row) for row in REFUSED)]
    assert not unknown, "\n".join(["", *unknown])
    assert [row for row in REFUSED if not any(fnmatchcase(each, row) for each in refused)] == []


def test_the_table_has_filters_of_most_lists() -> None:
    assert len(list(documented())) > 500
