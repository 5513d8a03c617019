"""Names and groups of benchmarks on the command line."""

from __future__ import annotations

import pytest

from benchmarks import registry


def names(*given: str) -> list[str]:
    return [each.name for each in registry.choose(given)]


def test_each_row_of_the_table_is_one_benchmark() -> None:
    assert names()[:13] == [f"B{n}" for n in range(1, 14)]


def test_names_and_groups_are_chosen_once_in_the_order_of_the_table() -> None:
    assert names("B9", "database", "B1") == ["B1", "B7", "B8", "B9"]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="B14, lots"):
        registry.choose(["B1", "lots", "B14"])
