"""Typed settings from environment variables.

An invalid value does not raise while settings are imported: it is recorded in `problems`, the
default is used, and the system checks report one error for each and prevent the start.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import environ
from django.core.checks import Error

T = TypeVar("T")

_FLAGS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_MAX_SHOWN = 60


class Environment:
    """Reader of environment variables; an empty variable means the default."""

    def __init__(self) -> None:
        self.problems: list[Error] = []

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
        self.problems.append(Error(f"{name} {sentence}", hint=hint, id="connect_sim.E001"))

    def __call__(self, name: str, default: str = "", *, blank: bool = False) -> str:
        """Return a string; with `blank`, an empty variable is a value too."""
        value = os.environ.get(name)
        if value is None or (not value.strip() and not blank):
            return default
        return value.strip()

    def int(
        self,
        name: str,
        default: builtins.int,
        *,
        minimum: builtins.int = 1,
        maximum: builtins.int = 10**9,
    ) -> builtins.int:
        """Return an integer within the limits."""
        requirement = f"must be a whole number from {minimum} to {maximum}"
        return self._read(name, default, int, requirement, lambda n: minimum <= n <= maximum)

    def float(
        self,
        name: str,
        default: builtins.float,
        *,
        minimum: builtins.float | None = None,
        maximum: builtins.float = 366 * 24 * 3600,
    ) -> builtins.float:
        """Return a number greater than 0, or at least `minimum`, and at most `maximum`."""
        least = "greater than 0" if minimum is None else f"of {minimum:g} or more"
        requirement = f"must be a number {least}, and at most {maximum:.12g}"
        # NaN is refused too: it is neither more nor less.
        return self._read(
            name,
            float(default),
            float,
            requirement,
            lambda n: (n > 0 if minimum is None else n >= minimum) and n <= maximum,
        )

    def bool(self, name: str, default: builtins.bool) -> builtins.bool:
        """Return a boolean."""
        return self._read(name, default, lambda text: _FLAGS[text.lower()], "must be true or false")

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        """Return one of the allowed values."""
        requirement = f"must be one of {', '.join(allowed)}"
        return self._read(name, default, str, requirement, allowed.__contains__)

    def checked(
        self,
        name: str,
        default: T,
        check: Callable[[str], T],
        *,
        example: str,
        secret: builtins.bool = False,
        blank: builtins.bool = False,
    ) -> T:
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

    def _read(
        self,
        name: str,
        default: T,
        convert: Callable[[str], T],
        requirement: str,
        is_valid: Callable[[T], builtins.bool] = lambda value: True,
    ) -> T:
        text = self(name)
        if not text:
            return default
        try:
            if is_valid(value := convert(text)):
                return value
        except (ValueError, KeyError):
            pass
        hint = f"Correct the variable or remove it; the default is {_format(default)}."
        self.report(name, f"{requirement}, not {_quote(text)}.", hint)
        return default


def _quote(text: str) -> str:
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…")


def _format(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)
