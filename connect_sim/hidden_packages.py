"""Import a library without optional packages that it would load wherever they are installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Hidden(MetaPathFinder):
    """A finder to which some packages are not installed."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise ModuleNotFoundError for a module of these packages."""
        if any(f"{fullname}.".startswith(f"{package}.") for package in self._packages):
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def import_without(module: str, *packages: str) -> None:
    """Import a module as if the packages were not installed; other modules can import them."""
    hidden = _Hidden(packages)
    sys.meta_path.insert(0, hidden)
    try:
        import_module(module)
    finally:
        sys.meta_path.remove(hidden)
