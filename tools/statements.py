"""Print how large the code is: its statements, and the nodes of syntax in each of them.

    python tools/statements.py [COMMIT …]

Docstrings, imports and migrations don't count. With commits, their figures stand beside those of
the work tree. Code that moves into data, SQL or templates is no less to read: what nodes per
statement are for, which rise where a statement does more.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# `checks` was a part of `sandbox`.
PRODUCT = ("connect_sim", "sandbox", "checks", "portal", "extensions", "webhooks", "requests_queue")
ROWS: Mapping[str, Callable[[PurePosixPath], bool]] = {
    "product": lambda path: path.parts[0] in PRODUCT,
    "of it sandbox, checks": lambda path: path.parts[0] in ("sandbox", "checks"),
    "of it webhooks": lambda path: path.parts[0] == "webhooks",
    "tests": lambda path: path.parts[0] == "tests",
    "benchmarks": lambda path: path.parts[0] == "benchmarks",
    "tools": lambda path: path.parts[0] == "tools",
}
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class Size(NamedTuple):
    """Statements, and nodes within them."""

    statements: int = 0
    nodes: int = 0


def count(source: str) -> Size:
    """Return the size of a module."""
    statements = nodes = 0
    left: list[ast.AST] = [ast.parse(source)]
    while left:
        node = left.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        statements += isinstance(node, ast.stmt)
        nodes += 1
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            children.remove(node.body[0])
        left += children
    return Size(statements, nodes)


def table(modules: Mapping[PurePosixPath, str]) -> dict[str, Size]:
    """Return the size of each row of ROWS."""
    sizes = {
        path: count(source) for path, source in modules.items() if "migrations" not in path.parts
    }
    rows = {}
    for name, belongs in ROWS.items():
        found = [size for path, size in sizes.items() if belongs(path)]
        rows[name] = Size(sum(s.statements for s in found), sum(s.nodes for s in found))
    return rows


def of_commit(commit: str) -> dict[PurePosixPath, str]:
    """Return the modules of a commit."""
    command = ["git", "archive", "--format=tar", commit]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = ((PurePosixPath(member.name), tar.extractfile(member)) for member in tar)
        return {path: file.read().decode() for path, file in found if file and path.suffix == ".py"}


def of_work_tree() -> dict[PurePosixPath, str]:
    """Return the modules of the work tree that Git knows."""
    command = ["git", "ls-files", "-z", "--", "*.py"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    paths = {PurePosixPath(name): ROOT / name for name in names.split("\0") if name}
    return {name: path.read_text() for name, path in paths.items() if path.exists()}


def lines(commits: list[str]) -> Iterator[str]:
    """Yield the lines of the table."""
    tables = [table(of_work_tree()), *map(table, map(of_commit, commits))]
    heads = ["now", *(commit[:8] for commit in commits)]
    yield f"{'':24}" + "".join(f"{head:>10}{'nodes each':>12}" for head in heads)
    for name in ROWS:
        sizes = [each[name] for each in tables]
        columns = (
            f"{size.statements:10,}{size.nodes / max(1, size.statements):12.2f}" for size in sizes
        )
        yield f"{name:24}" + "".join(columns)


if __name__ == "__main__":
    print("\n".join(lines(sys.argv[1:])))
