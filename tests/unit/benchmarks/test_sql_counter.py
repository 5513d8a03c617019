"""The counter of SQL statements, whose file other processes read at any time."""

from __future__ import annotations

from pathlib import Path

from benchmarks.sql_counter import SqlCounter, read


def test_counter_is_read_while_its_process_counts(tmp_path: Path) -> None:
    counter = SqlCounter(tmp_path / "count")
    counter.add()
    counter.add(2)
    assert read(tmp_path / "count") == 3


def test_new_counter_leaves_the_file_whole_that_others_have_opened(tmp_path: Path) -> None:
    path, opened = tmp_path / "count", tmp_path / "opened"
    SqlCounter(path).add(3)
    opened.hardlink_to(path)
    SqlCounter(path)
    assert (read(opened), read(path)) == (3, 0)
