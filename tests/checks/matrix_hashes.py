"""Hashes of checks and handlers: what of the matrix has to be run again after a change.

They are of the program without comments, docstrings and the texts of the checks.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from sandbox.checks.catalog import CHECKS
from tests.checks.handlers import lookups
from tests.checks.variants import VARIANTS
from tests.processes import ROOT

CATALOG = ROOT / "sandbox/checks/catalog"
CATALOG_PACKAGE = "sandbox.checks.catalog"
HANDLERS = ROOT / "tests/checks/handlers"
# How handlers are started, run and reported is tested elsewhere, and changes no outcome.
NOT_HASHED = (
    "captured_output", "causes", "guard", "handler_command", "handler_process", "lanes", "masking",
    "options", "processes", "runner", "sharing", "starvation", "throwaway",
)  # fmt: skip
_TABLE = ("CHECKS", "CONTROL_TEXTS")


def hash_of_all() -> str:
    """Return a hash of all checks, all handlers and the table of variants."""
    groups = sorted({check.group for check in CHECKS})
    names = [lookups.REFERENCE, *(variant.name for variant in VARIANTS)]
    parts = [hash_of_part(name, group) for name in names for group in groups]
    return _digest([*parts, *map(repr, sorted(VARIANTS))])


def hash_of_part(handler: str, group: str) -> str:
    """Return a hash of what the outcomes of a group of checks of a handler depend on."""
    return _digest([*_of_group(group), *_of_handler(handler)])


@cache
def _of_group(group: str) -> tuple[str, ...]:
    checks = sorted(
        f"{check.id} {check.level} {check.is_control} {sorted(check.needs)}"
        for check in CHECKS
        if check.group == group
    )
    shared = [path for path in CATALOG.parent.glob("*.py") if path.stem not in NOT_HASHED]
    own = CATALOG / f"{group}.py"
    used = _used_modules(own)
    return *checks, *map(_program, [*sorted(shared), own, *sorted(used)])


def _used_modules(path: Path) -> Iterator[Path]:
    """Yield the modules of the catalog that one of them imports as a whole."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module == CATALOG_PACKAGE:
            yield from (CATALOG / f"{alias.name}.py" for alias in node.names)


@cache
def _of_handler(name: str) -> tuple[str, ...]:
    shared = [path for path in HANDLERS.glob("*.py") if not path.stem.startswith("broken_")]
    classes = (cls.__module__ for cls in lookups.find(name).mro())
    own = {HANDLERS / f"{each.rpartition('.')[2]}.py" for each in classes if _is_broken(each)}
    imported = {path for each in own for path in _imported(each)}
    return name, *map(_program, [*sorted(shared), *sorted(own | imported)])


def _imported(path: Path) -> Iterator[Path]:
    """Yield the modules of broken handlers that one of them takes functions from."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and _is_broken(node.module or ""):
            yield HANDLERS / f"{(node.module or '').rpartition('.')[2]}.py"


def _is_broken(module: str) -> bool:
    return module.startswith("tests.checks.handlers.broken_")


@cache
def _program(path: Path) -> str:
    """Return a module's program as text, without docstrings and the table of checks."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    """Return whether a statement is a docstring, or assigns texts of checks."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        return False
    return node.targets[0].id in _TABLE


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:16]
