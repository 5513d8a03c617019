"""Marks of parameters."""

from __future__ import annotations

from typing import Any

import pytest


def nightly(*values: Any, reason: str) -> Any:
    """Return parameters of a test that only `make nightly` runs, and why."""
    return pytest.param(*values, marks=pytest.mark.nightly(reason=reason))
