"""Fixtures of the tests of the sandbox's pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox import check_runs
from tests.sandbox.pages.programs import Program


@pytest.fixture
def program(no_snapshots: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """What a run starts, instead of `connect-sim check`."""
    yield Program(monkeypatch)
    check_runs.stop_all()
