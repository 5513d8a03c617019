"""Raw results, and the report that is made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.processes import BenchmarkError
from benchmarks.table import Bound, in_rounds

MACHINE = {"cores": 2, "processor": "One", "memory_gib": 8.0, "python": "3.11.7"}
ROW = replace(
    in_rounds("CPU per delivery, ms", [0.2], [0.5], "post", Bound(0.5), Bound(0.3)),
    part="embedded",
)
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
OTHER = {**RESULT, "name": "B10", "rows": [replace(ROW, bound=Bound(0.1))], "not_measured": []}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PAGE", "SCALING"):
        path = tmp_path / name
        path.write_text(f"# Before\n\n{report.BEGIN}replaced\n{report.END}\nafter\n")
        monkeypatch.setattr(report, name, path)
    monkeypatch.setattr(report, "REFERENCE", tmp_path / "reference.json")
    return tmp_path / "PAGE"


@pytest.mark.parametrize(
    "content", ["", "{}", '{"version": 1, "benchmarks": [{}]}', '{"version": 0, "benchmarks": []}']
)
def test_file_without_results_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(BenchmarkError, match=r"run\.json"):
        report.read(tmp_path / "run.json")


def test_report_has_floors_figures_machine_date_load_and_what_is_missing() -> None:
    text = report.render([OTHER, RESULT])
    summary = "| B1 | embedded: CPU per delivery, relative to post | 0.40 | ≤ 0.50 | ≤ 0.30 | yes |"
    assert summary in text
    assert "| ≤ 0.10 | ≤ 0.30 | **missed** |" in text
    assert text.index("### B1: CPU") < text.index("### B10: CPU")
    assert "2 cores (One), 8 GiB of memory, Python 3.11.7; load 0.5 at the start, 1.5" in text
    assert "2026-11-27T02:00:00Z, commit 0123456789ab" in text
    assert "Not measured: distributed: redis-server is not installed." in text


def test_report_is_written_between_the_marks_and_others_stay(page: Path, tmp_path: Path) -> None:
    later = {**RESULT, "seconds": 31.0}
    for result in (RESULT, OTHER, later):
        report.write(tmp_path / "run.json", [result])
        assert report.read(tmp_path / "run.json") == [result]
        assert report.main([tmp_path / "run.json"], is_written=True) == 0
    text = page.read_text()
    assert text.startswith("# Before\n") and text.endswith("\nafter\n") and "replaced" not in text
    assert report.render([later, OTHER]) in text
    assert report.read(report.REFERENCE) == [later, OTHER]


def test_quick_results_are_not_written(page: Path, tmp_path: Path) -> None:
    before = page.read_text()
    report.write(tmp_path / "run.json", [{**RESULT, "quick": True}])
    assert report.main([tmp_path / "run.json"], is_written=True) == 2
    assert page.read_text() == before and not report.REFERENCE.exists()


def test_page_without_marks_is_refused_and_nothing_is_stored(page: Path) -> None:
    page.write_text("# Before\n")
    with pytest.raises(BenchmarkError, match="no part that is written"):
        report.store([[RESULT]])
    assert not report.REFERENCE.exists()


def test_pages_show_the_reference_which_is_at_full_size() -> None:
    results = report.read(report.REFERENCE)
    assert not any(result["quick"] for result in results)
    for path, text in report.updated(results).items():
        assert path.read_text() == text
