"""Handlers by name: `reference`, and in lower case the classes of `broken_*` and `unusual`."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from tests.checks.handlers.reference import Handler

REFERENCE = "reference"


def find(name: str) -> type[Handler]:
    """Return a handler; raises SystemExit with the names that exist."""
    if name == REFERENCE:
        return Handler
    # Only the module that has it: a handler is started many times.
    named = f"class {name.title().replace('_', '')}("
    if found := {_name(cls): cls for cls in _classes(named)}.get(name):
        return found
    raise SystemExit(f"Unknown variant {name!r}. Available: {', '.join(sorted(broken()))}")


def broken() -> dict[str, type[Handler]]:
    """Return the broken variants by name."""
    return {_name(cls): cls for cls in _classes()}


def _classes(source: str = "") -> Iterator[type[Handler]]:
    """Yield the classes of the modules that contain a piece of source, by default of all."""
    folder = Path(__file__).parent
    for path in (*sorted(folder.glob("broken_*.py")), folder / "unusual.py"):
        if source not in path.read_text():
            continue
        module = importlib.import_module(f"{__package__}.{path.stem}")
        for name, value in vars(module).items():
            is_own = getattr(value, "__module__", "") == module.__name__
            is_handler = isinstance(value, type) and issubclass(value, Handler)
            if is_own and is_handler and not name.startswith("_"):
                yield value


def _name(cls: type) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
