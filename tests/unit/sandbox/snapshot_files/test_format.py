"""The format of a snapshot's file: what is written is read, and nothing else."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from requests_queue.errors import Refused
from sandbox.snapshot_files import format
from sandbox.snapshot_files.format import Manifest, Reader, Writer

MOMENT = "2026-11-26T01:42:30.000001+00:00"
MANIFEST = Manifest("a", MOMENT, MOMENT, "0.1", [], {"catalog": ["0001"]}, {"one": 2, "two": 1})
ROWS = {"one": [["x", 1], ["y", None]], "two": [["z", {"a": [1.5]}]]}
DAMAGED, LARGE = "The file is damaged", 413
LATE = "2100-01-01T00:00:00+00:00"


def written(rows: dict[str, list[Any]] = ROWS, manifest: Manifest = MANIFEST) -> bytes:
    file = io.BytesIO()
    writer = Writer(file, replace(manifest, tables={name: len(rows[name]) for name in rows}))
    for name, each in rows.items():
        writer.table(name, ["a", "b"], each)
    writer.finish()
    return file.read()


def read(content: bytes) -> dict[str, list[Any]]:
    reader = Reader(io.BytesIO(content))
    return {label: [*chain(*batches)] for label, _, batches in reader.tables()}


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def changed(change: Callable[[list[bytes]], Any]) -> bytes:
    """Return the file with other lines, packed as a whole file is."""
    lines = gzip.decompress(written()).splitlines(keepends=True)
    change(lines)
    return packed(b"".join(lines))


def with_line(number: int, line: bytes) -> bytes:
    return changed(lambda lines: lines.__setitem__(number, line + b"\n"))


def first_line(**values: Any) -> bytes:
    def change(lines: list[bytes]) -> None:
        lines[0] = json.dumps({**json.loads(lines[0]), **values}).encode() + b"\n"

    return changed(change)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(st.lists(st.tuples(JSON, JSON).map(list), max_size=5))
def test_any_row_is_read_as_it_was_written(rows: list[Any]) -> None:
    assert read(written({"one": rows})) == {"one": rows}


def test_same_rows_are_the_same_file() -> None:
    assert written() == written()


WRONG = [
    (b"", "not a snapshot"),
    (b"PK\x03\x04 an archive", "not a snapshot"),
    (packed(b""), "not a snapshot"),
    (packed(b"[" * 100_000 + b"\n"), "not a snapshot"),
    (packed(b'{"format": "other"}\n'), "not a snapshot"),
    (written()[:-20], DAMAGED),
    (written()[:-20] + b"x" * 20, DAMAGED),
    (written() + b"x", DAMAGED),
    (written() + packed(b"more\n"), DAMAGED),
    (changed(lambda lines: lines.pop()), DAMAGED),
    (changed(lambda lines: lines.pop(2)), DAMAGED),
    (changed(lambda lines: lines.insert(2, lines[2])), DAMAGED),
    (changed(lambda lines: lines.reverse()), "not a snapshot"),
    (with_line(2, b'["other",1]'), "digest"),
    (with_line(2, b'["x",1,2]'), "has not 2 values"),
    (with_line(2, b'["x",1e999]'), "not JSON"),
    (with_line(2, b'["x",NaN]'), "not JSON"),
    (with_line(2, b"\xff"), "not JSON"),
    (with_line(2, b"1" * 5000), "not JSON"),
    (with_line(1, b'{"table": "two", "columns": []}'), DAMAGED),
    (with_line(1, b'{"table": "one", "columns": 1}'), DAMAGED),
    (first_line(version=2, application="9.1"), "newer version of Connect Sim (9.1)"),
    *((first_line(version=version), DAMAGED) for version in ("1", None, 0, -1, True, 1.0, 2.5, [])),
    (first_line(tables={"one": -1}), DAMAGED),
    (first_line(tables={"one": True}), DAMAGED),
    (first_line(tables=["one"]), DAMAGED),
    (first_line(migrations={"catalog": "0001"}), DAMAGED),
    (first_line(name=None), DAMAGED),
    (first_line(now="yesterday"), DAMAGED),
    (first_line(now="2026-11-26T01:42:30"), DAMAGED),
    (first_line(now="9999-12-31T23:59:59+00:00"), "more than ten years apart"),
    (first_line(now="2036-12-05T01:42:30+00:00"), "more than ten years apart"),
    (first_line(now="0001-01-01T00:00:00+00:00"), "more than ten years apart"),
    (first_line(now=LATE, created=LATE), "of another century"),
    (first_line(secrets="VA-1"), DAMAGED),
]  # fmt: skip


@pytest.mark.parametrize(("content", "text"), WRONG, ids=map(str, range(len(WRONG))))
def test_other_file_is_refused_with_a_sentence(content: bytes, text: str) -> None:
    with pytest.raises(Refused) as refused:
        read(content)
    [error] = refused.value.errors
    assert (refused.value.status, error.path) == (400, "file")
    assert text in error.message and len(error.message) < 300


def test_batches_end_by_rows_and_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["x" * size, 1] for size in (1, 1, 1, 1, 100, 1, 1, 400, 1)]
    monkeypatch.setattr(format, "BATCH_ROWS", 3)
    monkeypatch.setattr(format, "BATCH_SIZE", 100)
    reader = Reader(io.BytesIO(written({"one": rows, "two": []})))
    batches = {label: [*map(len, each)] for label, _, each in reader.tables()}
    assert batches == {"one": [3, 2, 3, 1], "two": []}


@pytest.mark.parametrize(
    ("limit", "most"),
    [("MAX_PACKED", 100), ("MAX_UNPACKED", 1000), ("MAX_LINE", 500), ("MAX_ROWS", 2),
     ("MAX_VALUES", 20)],
)  # fmt: skip
def test_limits_hold_for_both_directions(
    limit: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"one": [["x" * 600, list(range(30))], ["y", 2], ["z", 3]], "two": []}
    content = written(rows)
    monkeypatch.setattr(format, limit, most)
    with pytest.raises(Refused) as refused:
        read(content)
    assert refused.value.status == LARGE
    with pytest.raises(Refused) as refused:
        written(rows)
    assert (refused.value.status, refused.value.code) == (409, "SNP_004")


def test_snapshot_of_impossible_times_is_not_written() -> None:
    latest = "2036-12-03T01:42:30+00:00"
    read(written(manifest=replace(MANIFEST, now=latest)))
    with pytest.raises(Refused, match="more than ten years apart") as refused:
        written(manifest=replace(MANIFEST, now=LATE))
    assert (refused.value.status, refused.value.code) == (409, "SNP_004")


def test_little_file_that_expands_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(format, "MAX_LINE", 100_000)
    bomb = packed(b"0" * 50_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(Refused) as refused:
        read(bomb)
    assert refused.value.status == LARGE
