"""Print the tests that only `make nightly` runs, with the reason for each.

With `--check`, as in `make lint`, look for marks without a reason instead, and for code that lets
chance or the commit decide which tests there are: the files alone do.
"""

from __future__ import annotations

import ast
import io
import sys
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent.parent / "tests"
# Without these modules, functions and this program nothing is drawn: none where pytest collects.
DRAWS = {"git", "random", "secrets", "os.urandom"}


class Reasons:
    """Counts the tests of each function, by reason."""

    def __init__(self) -> None:
        self.tests: Counter[tuple[str, str]] = Counter()

    def pytest_collection_finish(self, session: Any) -> None:
        """Count the collected tests."""
        for item in session.items:
            reason = item.get_closest_marker("nightly").kwargs["reason"]
            self.tests[item.nodeid.partition("[")[0], reason] += 1


def problems(path: Path) -> list[str]:
    """Return the lines of a test module that mark without a reason, or draw."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    found = [
        f"{path}:{node.lineno}: say why: pytest.mark.nightly(reason=…)"
        for node in nodes
        if isinstance(node, ast.Attribute) and node.attr == "nightly"
        if not any(isinstance(n, ast.Call) and n.func is node and n.keywords for n in nodes)
    ]
    functions = {n.name: n for n in nodes if isinstance(n, ast.FunctionDef)}
    imports = [n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
    draws = DRAWS | {
        alias.asname or alias.name
        for node in imports
        for alias in node.names
        for module in (getattr(node, "module", alias.name),)
        if DRAWS & {module, f"{module}.{alias.name}"}
    }
    # What pytest runs to collect: the module itself, decorators, hooks and functions they call.
    running: list[ast.AST] = [
        *(
            n
            for n in tree.body
            if isinstance(n, ast.Assign | ast.AnnAssign | ast.Expr | ast.If)
            # Only a program runs what follows `if __name__`.
            if not (isinstance(n, ast.If) and "__name__" in ast.unparse(n.test))
        ),
        *(
            d
            for n in nodes
            if isinstance(n, ast.FunctionDef | ast.ClassDef)
            for d in n.decorator_list
        ),
        *(functions[name] for name in functions if name.startswith("pytest_")),
    ]
    for part in running:
        for node in ast.walk(part):
            if not isinstance(node, ast.Name | ast.Constant | ast.Attribute):
                continue
            name = str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)
            if name in functions:
                running.append(functions.pop(name))
            elif name in draws:
                found.append(f"{path}:{node.lineno}: {name} must not decide which tests run")
    return found


def main() -> int:
    """Print the tests, or with `--check` the problems."""
    if "--check" in sys.argv:
        found = [line for path in sorted(TESTS.rglob("*.py")) for line in problems(path)]
        print(*found, sep="\n", end="\n" if found else "")
        return bool(found)
    reasons = Reasons()
    sys.path.insert(0, str(TESTS.parent))
    with redirect_stdout(io.StringIO()):
        pytest.main(["-m", "nightly", "--collect-only", "-q", str(TESTS)], plugins=[reasons])
    for (test, reason), count in sorted(reasons.tests.items()):
        print(f"{count:4}  {test}: {reason}")
    return not reasons.tests


if __name__ == "__main__":
    sys.exit(main())
