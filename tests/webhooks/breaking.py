"""Functions of the program that fail for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

ALWAYS = 10**6


class Failing:
    """A function that raises an error a number of times, and then works."""

    def __init__(self, real: Callable[..., Any], error: BaseException, times: int) -> None:
        self.real, self.error, self.remaining = real, error, times
        self.over = threading.Event()

    def __call__(self, *args: Any, **more: Any) -> Any:
        if self.remaining > 0:
            self.remaining -= 1
            raise self.error
        self.over.set()
        return self.real(*args, **more)


def break_(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, error: BaseException, times: int = 3
) -> Failing:
    """Let a function raise an error a number of times, and then work."""
    failing = Failing(getattr(where, name), error, times)
    # A function in place of a method takes the object as its first argument.
    monkeypatch.setattr(where, name, lambda *args, **more: failing(*args, **more))
    return failing
