"""Every operation of Connect's OpenAPI document is served, or docs/api.md says why it isn't."""

from __future__ import annotations

import re

from tests.contract import operations
from tests.processes import ROOT


def test_every_operation_of_connect_is_served_or_has_a_reason() -> None:
    entries = operations.entries(are_served=False)
    missing = {
        f"{method} {path}"
        for method, path in operations.connects() - operations.served()
        if not any(entry.covers((method, path)) for entry in entries)
    }
    assert missing == set()


def test_no_operation_is_both_served_and_listed_as_not_served() -> None:
    wrong = {
        f"{entry}: {method} {path}"
        for entry in operations.entries(are_served=False)
        for method, path in operations.served()
        if entry.covers((method, path))
    }
    assert wrong == set()


def test_every_reason_is_about_an_operation_of_connect() -> None:
    unused = {
        str(entry)
        for entry in operations.entries(are_served=False)
        if not any(entry.covers(operation) for operation in operations.connects())
    }
    assert unused == set()


def test_operations_that_connect_does_not_have_are_listed_with_a_reason() -> None:
    listed = {(entry.method, entry.path) for entry in operations.entries(are_served=True)}
    assert listed == operations.served() - operations.connects()


def test_pages_have_the_number_of_operations() -> None:
    rows = operations.rows()
    count, paths = len(rows), len({path for _, path, _ in rows})
    assert (count, len({name for _, _, name in rows})) == (861, 861)
    for page in ("api.md", "fidelity.md"):
        text = " ".join((ROOT / "docs" / page).read_text(encoding="utf-8").split())
        assert re.findall(r"(\d+) operations in (\d+) paths", text) == [(str(count), str(paths))]
