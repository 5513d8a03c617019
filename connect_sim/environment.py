"""Typed settings from the environment.

A wrong value never raises while settings are imported: it is recorded in `problems`, the default
takes its place, and the system checks refuse to start with one sentence for each.
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
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """A variable that cannot be used: a sentence, and what to do about it."""

    name: str
    message: str
    hint: str


class Environment:
    """Reads variables; an empty one means the default."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def read_file(self, name: str, default: Path) -> None:
        """Read the variables of the file that `name` gives; those of the environment win."""
        given = os.environ.get(name, "").strip()
        path = Path(given or default)
        if not given and not path.exists():
            return
        try:
            # Opened here: environ passes over a file that it cannot open.
            with path.open(encoding="utf-8") as file:
                environ.Env.read_env(file)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            hint = "Correct the path or the permissions of the file, or unset the variable."
            self.report(name, f"names {path}, which cannot be read: {reason}.", hint)

    def report(self, name: str, sentence: str, hint: str) -> None:
        """Record what is wrong with a variable; `sentence` continues its name."""
        self.problems.append(Problem(name, f"{name} {sentence}", hint))

    def __call__(self, name: str, default: str = "", *, blank: bool = False) -> str:
        """Return a text; with `blank`, an empty variable is a value too."""
        value = os.environ.get(name)
        if value is None or (not value.strip() and not blank):
            return default
        return value.strip()

    def int(
        self, name: str, default: builtins.int, *, minimum: builtins.int = 1,
        maximum: builtins.int = 10**9,
    ) -> builtins.int:  # fmt: skip
        """Return a whole number within the limits."""

        def convert(text: str) -> builtins.int:
            number = int(text)
            if not minimum <= number <= maximum:
                raise ValueError
            return number

        wanted = f"must be a whole number from {minimum} to {maximum}"
        return self._read(name, default, convert, wanted)

    def float(
        self, name: str, default: builtins.float, *, minimum: builtins.float | None = None,
        maximum: builtins.float = 366 * 24 * 3600,
    ) -> builtins.float:  # fmt: skip
        """Return a number above 0, or from `minimum` on, up to `maximum`."""

        def convert(text: str) -> builtins.float:
            number = float(text)
            low = number > 0 if minimum is None else number >= minimum
            if not math.isfinite(number) or not low or number > maximum:
                raise ValueError
            return number

        least = "greater than 0" if minimum is None else f"of {minimum:g} or more"
        wanted = f"must be a number {least}, and at most {maximum:.12g}"
        return self._read(name, builtins.float(default), convert, wanted)

    def bool(self, name: str, default: builtins.bool) -> builtins.bool:
        """Return a flag."""

        def convert(text: str) -> builtins.bool:
            if text.lower() not in _TRUE + _FALSE:
                raise ValueError
            return text.lower() in _TRUE

        return self._read(name, default, convert, "must be true or false")

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        """Return one of the values that are allowed."""

        def convert(text: str) -> str:
            if text not in allowed:
                raise ValueError
            return text

        return self._read(name, default, convert, f"must be one of {', '.join(allowed)}")

    def checked(
        self, name: str, default: T, check: Callable[[str], T], *, example: str,
        secret: builtins.bool = False, blank: builtins.bool = False,
    ) -> T:  # fmt: skip
        """Return what `check` makes of a text; its ValueError is the rest of the sentence.

        A `secret` is never shown in the sentence.
        """
        text = self(name, "", blank=blank)
        if not text and not (blank and name in os.environ):
            return default
        try:
            return check(text)
        except ValueError as error:
            shown = "" if secret else f" The value is {_shown(text)}."
            self.report(name, f"{error}{shown}", f"Set, for example, {example}.")
            return default

    def _read(self, name: str, default: T, convert: Callable[[str], T], wanted: str) -> T:
        text = self(name)
        if not text:
            return default
        try:
            return convert(text)
        except ValueError:
            hint = f"Correct the variable or remove it; the default is {_plain(default)}."
            self.report(name, f"{wanted}, not {_shown(text)}.", hint)
            return default


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)
