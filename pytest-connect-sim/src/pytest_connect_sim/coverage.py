"""`--connect-sim-coverage`: which cases the tests of all workers made happen, in one report.

Each process reads the report of its sandbox when its tests have ended; workers of pytest-xdist
send theirs to the controller.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_connect_sim.client import ApiError, Client, Unreachable
from pytest_connect_sim.server import SandboxError

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

Json = dict[str, Any]
_OUTPUT = "connect_sim_coverage"  # of a worker
_SHOWN = 10  # missing cases that are named


def read(client: Client, since: str) -> Json:
    """Return the report of what has happened since a cursor; raises SandboxError."""
    query = {"since": since} if since else {}
    try:
        report: Json = client.call("GET", "/sandbox/coverage", query=query)
    except (ApiError, Unreachable) as error:
        raise SandboxError(f"The coverage cannot be read: {error}") from None
    return report


def merge(reports: Iterable[Mapping[str, Any]]) -> Json:
    """Return the union of reports, as `connect-sim coverage --merge` does."""
    rows: dict[str, Json] = {}
    titles: dict[str, str] = {}
    products: set[str] = set()
    for report in reports:
        products |= set(report["products"])
        titles.update({group["name"]: group["title"] for group in report["groups"]})
        for row in report["cases"]:
            known = rows.setdefault(row["id"], {**row, "seen": 0})
            known["seen"] += row["seen"]
            if known["seen"]:
                known["stub"] = None
    # The order of the sandbox, but for cases that only some reports have.
    cases = sorted(rows.values(), key=lambda row: -row["weight"])
    groups = [
        {"name": name, "title": title, **_numbers(r for r in cases if r["group"] == name)}
        for name, title in titles.items()
    ]
    return {"products": sorted(products), **_numbers(cases), "groups": groups, "cases": cases}


def _numbers(rows: Iterable[Json]) -> Json:
    seen = [bool(row["seen"]) for row in rows]
    # Rounded down: 100 means all.
    percent = 1000 * sum(seen) // len(seen) / 10 if seen else 0.0
    return {"percent": percent, "covered": sum(seen), "possible": len(seen)}


class Coverage:
    """Collects the reports of a run, and shows their union at its end."""

    def __init__(self, config: pytest.Config, file: Path | None, fail_under: float | None) -> None:
        self._config, self._file, self._fail_under = config, file, fail_under
        self._reports: list[Json] = []
        self._report = merge([])
        self._errors: list[str] = []
        self._is_written = False

    def add(self, report: Json) -> None:
        """Add the report of this process."""
        self._reports.append(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add the reports of a worker that has ended; one that crashed has none."""
        self._reports += getattr(node, "workeroutput", {}).get(_OUTPUT, [])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the reports to the controller, or write the file and judge the percentage."""
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[_OUTPUT] = self._reports
            return
        self._report = merge(self._reports)
        if self._file:
            try:
                self._file.write_text(json.dumps(self._report, indent=2), encoding="utf-8")
                self._is_written = True
            except OSError as error:
                text = f"{self._file} cannot be written: {error.strerror or error}."
                self._errors.append(text)
        if self._fail_under is not None and self._report["percent"] < self._fail_under:
            self._errors.append(
                f"{self._report['percent']:g} % of the cases are covered, "
                f"less than {self._fail_under:g} %."
            )
        if self._errors and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the percentage of each group, and the most important missing cases."""
        terminalreporter.section("Connect Sim: coverage")
        report = self._report
        for row in [*report["groups"], {**report, "title": "All"}]:
            count = f"{row['covered']} of {row['possible']}"
            terminalreporter.write_line(f"{row['title']:<28} {count:>12} {row['percent']:>6g} %")
        missing = [row for row in report["cases"] if not row["seen"]]
        if missing:
            terminalreporter.write_line("Missing, the most important first:")
        for row in missing[:_SHOWN]:
            terminalreporter.write_line(f"  {row['id']}  {row['text']}")
        if len(missing) > _SHOWN:
            terminalreporter.write_line(f"  … {len(missing) - _SHOWN} more")
        if missing and self._is_written:
            command = f"connect-sim coverage --merge {self._file} --stubs pytest"
            terminalreporter.write_line(f"Tests of them: {command}")
        for error in self._errors:
            terminalreporter.write_line(f"ERROR: {error}", red=True)
