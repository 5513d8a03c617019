"""Raw results, and the report that is made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import document, results
from benchmarks.processes import BenchmarkError
from benchmarks.results import Result
from benchmarks.table import Bound, in_rounds

MACHINE = {"cores": 2, "processor": "One", "memory_gib": 8.0, "python": "3.11.7"}
ROW = in_rounds("embedded", "CPU per delivery, ms", [0.2], [0.5], "post", Bound(0.5), Bound(0.3))
RESULT = Result(
    "B1", "CPU of a delivery", "2026-11-27T02:00:00Z", "0123456789ab", MACHINE, False, (0.5, 1.5),
    30.0, [ROW], ["distributed: redis-server is not installed"],
)  # fmt: skip
OTHER = replace(RESULT, name="B10", rows=[replace(ROW, bound=Bound(0.1))], not_measured=[])


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "benchmarks.md"
    path.write_text(f"# Before\n\n{document.BEGIN}replaced\n{document.END}\nafter\n")
    monkeypatch.setattr(document, "PAGE", path)
    scaling = tmp_path / "scaling.md"
    scaling.write_text(f"{document.BEGIN}{document.END}")
    monkeypatch.setattr(document, "SCALING", scaling)
    monkeypatch.setattr(results, "REFERENCE", tmp_path / "reference.json")
    return path


def test_results_survive_a_file(tmp_path: Path) -> None:
    results.write(tmp_path / "run.json", [RESULT, OTHER])
    assert results.read(tmp_path / "run.json") == [RESULT, OTHER]


@pytest.mark.parametrize(
    "content", ["", "{}", '{"version": 1, "benchmarks": [{}]}', '{"version": 0, "benchmarks": []}']
)
def test_file_without_results_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(BenchmarkError, match=r"run\.json"):
        results.read(tmp_path / "run.json")


def test_later_results_of_a_benchmark_replace_earlier_ones() -> None:
    later = replace(RESULT, seconds=31.0)
    assert results.merge([[RESULT, OTHER], [later]]) == [later, OTHER]


def test_report_has_floors_figures_machine_date_load_and_what_is_missing() -> None:
    text = document.render([OTHER, RESULT])
    summary = "| B1 | embedded: CPU per delivery, relative to post | 0.40 | ≤ 0.50 | ≤ 0.30 | yes |"
    assert summary in text
    assert "| ≤ 0.10 | ≤ 0.30 | **missed** |" in text
    assert text.index("### B1: CPU") < text.index("### B10: CPU")
    assert "2 cores (One), 8 GiB of memory, Python 3.11.7; load 0.5 at the start, 1.5" in text
    assert "2026-11-27T02:00:00Z, commit 0123456789ab" in text
    assert "Not measured: distributed: redis-server is not installed." in text


def test_report_is_written_between_the_marks(page: Path, tmp_path: Path) -> None:
    results.write(tmp_path / "run.json", [RESULT])
    assert document.main([str(tmp_path / "run.json"), "--write"]) == 0
    text = page.read_text()
    assert text.startswith("# Before\n") and text.endswith("\nafter\n") and "replaced" not in text
    assert document.render([RESULT]) in text
    # Another benchmark leaves the first one in place.
    results.write(tmp_path / "run.json", [OTHER])
    assert document.main([str(tmp_path / "run.json"), "--write"]) == 0
    assert document.render([RESULT, OTHER]) in page.read_text()
    assert results.read(results.REFERENCE) == [RESULT, OTHER]


def test_quick_results_are_not_written(page: Path, tmp_path: Path) -> None:
    before = page.read_text()
    results.write(tmp_path / "run.json", [replace(RESULT, quick=True)])
    assert document.main([str(tmp_path / "run.json"), "--write"]) == 2
    assert page.read_text() == before and not results.REFERENCE.exists()


def test_page_without_marks_is_refused_and_nothing_is_stored(page: Path) -> None:
    page.write_text("# Before\n")
    with pytest.raises(BenchmarkError, match="no part that is written"):
        document.store([[RESULT]])
    assert not results.REFERENCE.exists()


def test_pages_show_the_reference() -> None:
    for path, text in document.updated(results.read(results.REFERENCE)).items():
        assert path.read_text() == text


def test_reference_is_at_full_size() -> None:
    assert not any(result.quick for result in results.read(results.REFERENCE))
    assert json.loads(results.REFERENCE.read_text())["version"] == results.VERSION
