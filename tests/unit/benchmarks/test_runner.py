"""Names on the command line, raw results, and the report that is made of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from benchmarks import runner
from benchmarks.deliveries import SCAN
from benchmarks.part import BenchmarkError
from benchmarks.table import Row

MACHINE = {"cores": 2, "processor": "One", "memory_gib": 8.0, "python": "3.11.7"}
ROW = Row("CPU per delivery, ms", [0.2], [0.5], "post", 0.5, 0.3, part="embedded")
RESULT = {
    "name": "B1",
    "title": "CPU of a delivery",
    "started": "2026-11-27T02:00:00Z",
    "commit": "0123456789ab",
    "machine": MACHINE,
    "quick": False,
    "load": [0.5, 1.5],
    "seconds": 30.0,
    "rows": [ROW],
    "not_measured": ["distributed: redis-server is not installed"],
}
OTHER = {**RESULT, "name": "B10", "rows": [replace(ROW, floor=0.1)], "not_measured": []}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PAGE", "SCALING"):
        path = tmp_path / name
        path.write_text(f"# Before\n\n{runner.BEGIN}replaced\n{runner.END}\nafter\n")
        monkeypatch.setattr(runner, name, path)
    monkeypatch.setattr(runner, "REFERENCE", tmp_path / "reference.json")
    runner.write(runner.REFERENCE, [])
    return tmp_path / "PAGE"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, arguments)])
    try:
        return runner.main()
    except SystemExit as ended:
        return ended.code


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"benchmarks": [{}]}',
        '{"benchmarks": [{"rows": []}]}',
        *(
            json.dumps({"benchmarks": [{**RESULT, "rows": [], name: None}]})
            for name in ("name", "load", "machine", "seconds", "rows")
        ),
    ],
)
def test_file_without_results_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(BenchmarkError, match=r"run\.json"):
        runner.read(tmp_path / "run.json")


def test_report_has_floors_figures_machine_date_load_and_what_is_missing() -> None:
    text = runner.render([OTHER, RESULT])
    for part in (
        "| 0.2      | 0.5 post | 0.40  | ≤ 0.5 | ≤ 0.3 | ok |",
        "| ≤ 0.1 | ≤ 0.3 | FAIL |",
        "2026-11-27T02:00:00Z, commit 0123456789ab; 2 cores (One), 8 GiB of memory, Python 3.11.7; "
        "load 0.5 at the start, 1.5 at the end; 30 s.",
        "Not measured: distributed: redis-server is not installed.",
    ):
        assert part in text
    assert text.index("### B1: CPU") < text.index("### B10: CPU")


def test_report_is_written_between_the_marks_and_others_stay(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = {**RESULT, "seconds": 31.0}
    for result in (RESULT, OTHER, later):
        runner.write(tmp_path / "run.json", [result])
        assert run(monkeypatch, "report", tmp_path / "run.json", "--write") == 0
    text = page.read_text()
    assert text.startswith("# Before\n") and text.endswith("\nafter\n") and "replaced" not in text
    assert runner.render([later, OTHER]) in text
    assert runner.read(runner.REFERENCE) == [later, OTHER]


def test_results_that_say_nothing_and_pages_without_marks_are_refused(page: Path) -> None:
    with pytest.raises(BenchmarkError, match="with --quick"):
        runner.store([{**RESULT, "quick": True}])
    with pytest.raises(BenchmarkError, match="B10 was measured with uncommitted"):
        runner.store([RESULT, {**OTHER, "commit": "0123456789ab+changes"}])
    page.write_text("# Before\n")
    with pytest.raises(BenchmarkError, match="no part that is written"):
        runner.store([RESULT])
    assert page.read_text() == "# Before\n"
    assert runner.read(runner.REFERENCE) == []


def test_pages_show_the_reference_which_is_at_full_size() -> None:
    results = runner.read(runner.REFERENCE)
    assert not any(result["quick"] for result in results)
    for path, text in runner.updated(results).items():
        assert path.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("B1 lots B14", "unknown benchmark: B14, lots"),
        ("B1 --write", "--write"),
        ("report run.json --quick", "--quick"),
        ("report run.json --output other.json", "--output"),
    ],
)
def test_what_a_command_does_not_have_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    message: str,
) -> None:
    assert run(monkeypatch, *arguments.split()) == 2
    assert message in capsys.readouterr().err


def test_names_and_groups_are_chosen_once_in_the_order_of_the_table() -> None:
    assert runner.choose(["B9", "database", "B1"]) == ["B1", "B7", "B8", "B9"]


def test_rows_before_a_missing_server_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def measure(part: Any, *sizes: int) -> Iterator[Row]:
        yield ROW
        pytest.skip("redis-server is not installed")

    one = ("", measure, {"embedded": False}, "title")
    for name, value in (("BENCHMARKS", {"B1": one}), ("Part", Mock()), ("signal", Mock())):
        monkeypatch.setattr(runner, name, value)
    monkeypatch.setenv("no_proxy", "")
    assert run(monkeypatch, "B1", "--output", tmp_path / "run.json") == 0
    [result] = runner.read(tmp_path / "run.json")
    assert result["rows"] == [ROW]
    assert result["not_measured"] == ["embedded: redis-server is not installed"]


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("  ->  Seq Scan on webhooks_delivery d  (cost=0.00..8.25 rows=100 width=32)", True),
        ("  ->  Parallel Seq Scan on webhooks_delivery", True),
        ("    SCAN webhooks_delivery", True),
        ("    SCAN d USING INDEX delivery_waiting", True),
        ("    SCAN c USING COVERING INDEX delivery_webhook", True),
        ("  ->  Seq Scan on webhooks_webhook w  (cost=0.00..8.25 rows=100 width=32)", False),
        ("  ->  Index Scan using delivery_waiting on webhooks_delivery", False),
        ("    SCAN d USING INDEX delivery_forced", False),
        ("    SCAN webhooks_delivery USING INDEX delivery_calling", False),
        ("    SEARCH d USING INDEX delivery_waiting (webhook_id=?)", False),
        ("    SCAN w", False),
        ("    SCAN candidate", False),
    ],
)
def test_plan_that_reads_all_deliveries_is_a_scan(line: str, is_one: bool) -> None:
    assert bool(SCAN.search(line)) is is_one
