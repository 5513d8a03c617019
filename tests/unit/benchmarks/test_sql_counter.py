"""The counter of SQL statements, whose file other processes read at any time."""

from __future__ import annotations

from pathlib import Path

from benchmarks.sql_counter import create, read


def test_counter_is_read_while_its_process_counts(tmp_path: Path) -> None:
    add = create(tmp_path / "count")
    add(1)
    add(2)
    assert read(tmp_path / "count") == 3


def test_new_counter_leaves_the_file_whole_that_others_have_opened(tmp_path: Path) -> None:
    path, opened = tmp_path / "count", tmp_path / "opened"
    create(path)(3)
    opened.hardlink_to(path)
    create(path)
    assert (read(opened), read(path)) == (3, 0)
