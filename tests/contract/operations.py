"""The operations of Connect's OpenAPI document, and those that docs/api.md gives reasons for."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from requests_queue.catalog.views.reference_lists import ReferenceList
from tests.contract import routes
from tests.processes import ROOT

TABLE = ROOT / "tests" / "contract" / "operations.tsv"
PAGE = ROOT / "docs" / "api.md"
NOT_SERVED = "## What is not served"

Operation = tuple[str, str]


class Entry(NamedTuple):
    """A call in a table of the docs, with parameters as `{}`; no method means all of them."""

    method: str
    path: str

    def covers(self, operation: Operation) -> bool:
        """Return whether the entry is about an operation (method, path)."""
        method, path = operation
        if self.method not in ("", method):
            return False
        whole, is_area, _ = self.path.partition("/**")
        return path == whole or bool(is_area and path.startswith(f"{whole}/"))

    def __str__(self) -> str:
        return f"{self.method} {self.path}".lstrip()


def plain(path: str) -> str:
    """Return a path with its parameters as `{}`."""
    return re.sub(r"\{\w+\}", "{}", path)


def rows() -> list[tuple[str, str, str]]:
    """Return method, path and operationId of all operations of Connect's document 37.0."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return [
        (method, path, name)
        for method, path, name in (
            line.split("\t") for line in lines if line and not line.startswith("#")
        )
    ]


@cache
def connects() -> frozenset[Operation]:
    """Return the operations of the document, with parameters as `{}`."""
    return frozenset((method, plain(path)) for method, path, _ in rows())


def served() -> set[Operation]:
    """Return the served operations, the plain lists too."""
    lists = {
        ("GET", path)
        for path, view in routes.views()
        if issubclass(getattr(view, "cls", object), ReferenceList)
    }
    return routes.operations() | lists


def entries(*, are_served: bool) -> list[Entry]:
    """Return the calls in the first columns of the tables of docs/api.md.

    They are those that only Connect's document has, or those that only we have.
    """
    ours, _, connects_only = PAGE.read_text(encoding="utf-8").partition(NOT_SERVED)
    text = ours.partition("| Call | Why it is served |")[2] if are_served else connects_only
    cells = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    spans = [span for cell in cells for span in re.findall(r"`([^`]*)`", cell)]
    return [
        Entry(method, plain(path))
        for method, _, path in (
            span.rpartition(" ") if " " in span else ("", "", span) for span in spans
        )
    ]
