"""What is attached to the report of a failed test, and traces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_connect_sim.expectations import ExpectationError
from pytest_connect_sim.server import SandboxError, Server, without_secrets
from pytest_connect_sim.simulator import ConnectSim
from pytest_connect_sim.version import VERSION


@dataclass(frozen=True)
class Mark:
    """Where the log of the sandbox was when a test began."""

    server: Server
    offset: int

    def log(self) -> str:
        """Return what was logged since then."""
        return self.server.log_since(self.offset)


def or_fail(function: Callable[[], Any]) -> Any:
    """Return the result; an error of the set-up fails the test with its text alone."""
    try:
        return function()
    except SandboxError as error:
        text = str(error)
    # Outside: the report would show the error as the context of this one.
    pytest.fail(text, pytrace=False)


def of_soft(failures: list[ExpectationError]) -> str:
    """Return the text of failed soft expectations, with one timeline."""
    count = f"{len(failures)} soft expectation{'s are' if len(failures) > 1 else ' is'} not met."
    parts = [f"{number}. {e.place}: {e.summary}" for number, e in enumerate(failures, 1)]
    return "\n\n".join([count, *parts, failures[-1].happened])


def summarize(report: pytest.TestReport, sentence: str) -> None:
    """Let pytest's short summary show a sentence instead of the name of the exception."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = sentence


def sections(sim: ConnectSim, mark: Mark, *, with_timeline: bool) -> list[tuple[str, str]]:
    """Return the sections of a report."""
    version = mark.server.version or "of unknown version"
    about = f"{sim.url}, seed {sim.seed}, plugin {VERSION}, sandbox {version}"
    found = [("Connect Sim", about)]
    # Of a test that failed otherwise before its end.
    if failures := sim.soft_failures():
        found.append(("Connect Sim: soft expectations", of_soft(failures)))
    if with_timeline:
        timeline = sim._observer.safely("report")
        errors = sim._observer.safely("last_api_error")
        found.append(("Connect Sim: timeline since the test began", "\n".join(timeline)))
        if errors:
            found.append(("Connect Sim: the handler's last API error", "\n".join(errors)))
    if log := mark.log().strip():
        found.append(("Connect Sim: log", log))
    return found


def file_name(nodeid: str) -> str:
    """Return a name of a folder for a test."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", nodeid).strip("-.")[-150:] or "test"


def write_trace(folder: Path, sim: ConnectSim, mark: Mark, failure: str) -> Path:
    """Write timeline, deliveries, log and failure of a test into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "timeline.json": _json(sim, "timeline"),
        "deliveries.json": _json(sim, "deliveries"),
        "timeline.txt": "\n".join(sim._observer.safely("report")),
        "sandbox.log": mark.log(),
        "failure.txt": without_secrets(failure),
    }
    for name, text in contents.items():
        path = folder / name
        if text:
            path.write_text(f"{text.rstrip()}\n", encoding="utf-8")
        else:
            path.unlink(missing_ok=True)
    return folder


def _json(sim: ConnectSim, name: str) -> str:
    try:
        content: Any = getattr(sim, name)()
    except Exception as error:  # the rest of the trace is still of use
        content = {"error": str(error)}
    return json.dumps(content, indent=2, ensure_ascii=False)
