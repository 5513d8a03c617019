"""Fixtures: pytest in pytest, with a stand-in for the sandbox that answers from a script."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

pytest_plugins = ["pytester"]

STAND_IN = Path(__file__).parent / "stand_in.py"
Run = Callable[..., pytest.RunResult]


def _is_installed() -> bool:
    found = importlib.metadata.distributions()
    return any(each.metadata["Name"] == "pytest-connect-sim" for each in found)


@pytest.fixture(autouse=True)
def no_settings_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONNECT_SIM_URL", "CONNECT_SIM_VENDOR_KEY", "CONNECT_SIM_PROVIDER_KEY"):
        monkeypatch.delenv(name, raising=False)
    # With these, pytest repeats the whole text of a failure in its summary.
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """A function that runs pytest with the plugin and options."""

    def run_pytest(*arguments: str) -> pytest.RunResult:
        loaded = [] if _is_installed() else ["-p", "pytest_connect_sim.plugin"]
        # Plugins of the environment could change the output, or read settings.
        without = [f"-pno:{name}" for name in ("randomly", "django", "cacheprovider")]
        return pytester.runpytest(*loaded, *without, *arguments)

    return run_pytest


@pytest.fixture
def run_with(run: Run, pytester: pytest.Pytester) -> Run:
    """A function that runs pytest with answers of the sandbox by method and path."""

    def run_with_answers(answers: dict[str, Any], *arguments: str) -> pytest.RunResult:
        path = pytester.path / "answers.json"
        path.write_text(json.dumps(answers))
        command = f"{sys.executable} {STAND_IN} {path}"
        return run("--connect-sim-command", command, *arguments)

    return run_with_answers


@pytest.fixture
def requests_made(pytester: pytest.Pytester) -> Callable[[], list[dict[str, Any]]]:
    """A function that returns what the stand-in was sent: `{"call", "body"}`."""

    def read() -> list[dict[str, Any]]:
        lines = (pytester.path / "requests.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    return read
