"""Tests of modules that need no Django: they run without it, in seconds (`make unit`)."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: Any) -> None:
    """Fail if a module under test has imported Django."""
    _check(session)
    # Collected tests and modules live until the end: the garbage collector can skip them.
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: Any) -> None:
    """Fail if a test has imported Django."""
    _check(session)


def _check(session: Any) -> None:
    # `make test` runs these tests together with all others, in processes that have Django.
    if "django" in sys.modules and not session.config.pluginmanager.hasplugin("django"):
        raise pytest.UsageError("tests/unit must not import Django, and one of its tests does.")
