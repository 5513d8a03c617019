"""The time that one module sees: threads that other tests left behind keep theirs."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


def replace(patch: pytest.MonkeyPatch, module: ModuleType, **functions: Callable[..., Any]) -> None:
    """Let the module call these instead of the functions of `time` with their names."""
    patch.setattr(module, "time", SimpleNamespace(**{**vars(time), **functions}))
