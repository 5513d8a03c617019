"""Typed settings from environment variables.

An invalid value does not raise while settings are imported: it is recorded in `problems`, the
default is used, and the system checks report one error for each and prevent the start.
"""

from __future__ import annotations

import builtins
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import environ

T = TypeVar("T")

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")
_MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """An invalid variable: a sentence, and a hint what to do."""

    name: str
    message: str
    hint: str


class Environment:
    """Reader of environment variables; an empty variable means the default."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def read_file(self, name: str, default: Path) -> None:
        """Read variables from the file that `name` names; existing variables win."""
        configured = os.environ.get(name, "").strip()
        path = Path(configured or default)
        if not configured and not path.exists():
            return
        try:
            # Opened here, because environ ignores unreadable files.
            with path.open(encoding="utf-8") as file:
                environ.Env.read_env(file)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            hint = "Correct the path or the permissions of the file, or unset the variable."
            self.report(name, f"names {path}, which cannot be read: {reason}.", hint)

    def report(self, name: str, sentence: str, hint: str) -> None:
        """Record an invalid variable; `sentence` follows its name."""
        self.problems.append(Problem(name, f"{name} {sentence}", hint))

    def __call__(self, name: str, default: str = "", *, blank: bool = False) -> str:
        """Return a string; with `blank`, an empty variable is a value too."""
        value = os.environ.get(name)
        if value is None or (not value.strip() and not blank):
            return default
        return value.strip()

    def int(
        self, name: str, default: builtins.int, *, minimum: builtins.int = 1,
        maximum: builtins.int = 10**9,
    ) -> builtins.int:  # fmt: skip
        """Return an integer within the limits."""

        def convert(text: str) -> builtins.int:
            number = int(text)
            if not minimum <= number <= maximum:
                raise ValueError
            return number

        requirement = f"must be a whole number from {minimum} to {maximum}"
        return self._read(name, default, convert, requirement)

    def float(
        self, name: str, default: builtins.float, *, minimum: builtins.float | None = None,
        maximum: builtins.float = 366 * 24 * 3600,
    ) -> builtins.float:  # fmt: skip
        """Return a number greater than 0, or at least `minimum`, and at most `maximum`."""

        def convert(text: str) -> builtins.float:
            number = float(text)
            low = number > 0 if minimum is None else number >= minimum
            if not math.isfinite(number) or not low or number > maximum:
                raise ValueError
            return number

        least = "greater than 0" if minimum is None else f"of {minimum:g} or more"
        requirement = f"must be a number {least}, and at most {maximum:.12g}"
        return self._read(name, builtins.float(default), convert, requirement)

    def bool(self, name: str, default: builtins.bool) -> builtins.bool:
        """Return a boolean."""

        def convert(text: str) -> builtins.bool:
            if text.lower() not in _TRUE + _FALSE:
                raise ValueError
            return text.lower() in _TRUE

        return self._read(name, default, convert, "must be true or false")

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        """Return one of the allowed values."""

        def convert(text: str) -> str:
            if text not in allowed:
                raise ValueError
            return text

        return self._read(name, default, convert, f"must be one of {', '.join(allowed)}")

    def checked(
        self, name: str, default: T, check: Callable[[str], T], *, example: str,
        secret: builtins.bool = False, blank: builtins.bool = False,
    ) -> T:  # fmt: skip
        """Return the result of `check`; its ValueError is the rest of the sentence.

        The value of a `secret` is not shown.
        """
        text = self(name, "", blank=blank)
        if not text and not (blank and name in os.environ):
            return default
        try:
            return check(text)
        except ValueError as error:
            shown = "" if secret else f" The value is {_quote(text)}."
            self.report(name, f"{error}{shown}", f"Set, for example, {example}.")
            return default

    def _read(self, name: str, default: T, convert: Callable[[str], T], requirement: str) -> T:
        text = self(name)
        if not text:
            return default
        try:
            return convert(text)
        except ValueError:
            hint = f"Correct the variable or remove it; the default is {_format(default)}."
            self.report(name, f"{requirement}, not {_quote(text)}.", hint)
            return default


def _quote(text: str) -> str:
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…")


def _format(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)
