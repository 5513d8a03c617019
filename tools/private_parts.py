"""Check that the product uses no private part of a library but those listed here.

Private is what has a leading underscore: a name that is imported, an attribute, and what a class of
ours overrides or uses of a base class. Exits with 1 for another one, for one of the list that isn't
used, and for modules that are too long or switch formatting off. A part of `make lint`.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

# Also when it is run as a script.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import project

# Our packages, and the folders that they are imported from.
PACKAGES = {
    **dict.fromkeys(project.PACKAGES, project.ROOT),
    "pytest_connect_sim": project.PLUGIN / "src",
}
# By module. docs/architecture.md has the reasons; tests/runtime/test_private_parts.py names also
# what these modules use that has no underscore, but isn't documented.
PARTS = {
    # uvicorn has no option for limits of heads, targets as sent, and half-closed connections.
    "connect_sim.server.protocol": {"_start_asgi_task", "_unset_keepalive_if_required"},
    # aiohttp makes connections itself, and doesn't say whether one was used before.
    "webhooks.http.connection": {"_exception", "_factory", "_loop"},
    # django-rql keeps a thousand parsed queries, of any size.
    "connect_sim.api.rql": {"_cache"},
}
# Documented in spite of the underscore: Django's, those of named tuples, and `os._exit`.
DOCUMENTED = {
    "_base_manager",
    "_default_manager",
    "_exit",
    "_fields",
    "_meta",
    "_replace",
    "_state",
}
_MOST = 450  # lines of a module
_SWITCHED_OFF = re.compile(r"#\s*fmt:\s*(?:skip|off)")


def is_private(name: str) -> bool:
    """Return whether a name has a leading underscore, and isn't `__special__`."""
    return name.startswith("_") and not name.endswith("__") and name != "_"


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the private names that a module imports from libraries."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            source = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for alias in node.names:
                package, *parts = ".".join([*source, alias.name]).split(".")
                if package not in PACKAGES:
                    yield from filter(is_private, [package, *parts])


def attributes(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Yield where the code names private attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node


def defined(tree: ast.AST) -> set[str]:
    """Return the private names that a module defines: functions, classes, values, attributes."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and of_self(node):
            found.add(node.attr)
    return found


def of_self(node: ast.Attribute) -> bool:
    """Return whether it is an attribute of `self` or `cls`."""
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def inherited(tree: ast.Module, module: ModuleType) -> Iterator[str]:
    """Yield the private names of libraries' classes that classes of the module use."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            used = {*filter(is_private, defined(node)), *(n.attr for n in attributes(node))}
            for base in getattr(module, node.name).__mro__:
                if base.__module__.partition(".")[0] not in (*PACKAGES, module.__name__):
                    yield from used & names_of_class(base)


@functools.cache
def names_of_class(base: type) -> set[str]:
    """Return the private names that a library's class has, or uses of itself."""
    names = {name for name in vars(base) if is_private(name)}
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
    except (OSError, TypeError, SyntaxError):  # compiled, built in, or made by a function
        return names
    return names | {node.attr for node in attributes(tree)}


def problems(name: str, source: str, known: set[str]) -> list[str]:
    """Return what is wrong in a module; `known` are the names that its folder defines."""
    tree = ast.parse(source)
    used = {*imported(tree), *inherited(tree, importlib.import_module(name))}
    used |= {n.attr for n in attributes(tree) if not of_self(n) and n.attr not in known}
    listed = PARTS.get(name, set())
    found = [f"{name}: {part} is private" for part in sorted(used - listed - DOCUMENTED)]
    found += [f"{name}: {part} is listed, but not used" for part in sorted(listed - used)]
    if _SWITCHED_OFF.search(source):
        found.append(f"{name}: formatting is switched off")
    if (count := source.count("\n")) > _MOST:
        found.append(f"{name}: {count} lines, of {_MOST} at most")
    return found


def main() -> int:
    """Print the problems."""
    sys.path.insert(0, str(project.PLUGIN / "src"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    import django

    django.setup()
    sources: dict[Path, str] = {}
    known: dict[Path, set[str]] = {}
    for package, folder in PACKAGES.items():
        for path in sorted((folder / package).rglob("*.py")):
            if not {"migrations", "static", "__main__.py"} & set(path.parts):
                sources[path.relative_to(folder)] = source = path.read_text(encoding="utf-8")
                names = known.setdefault(path.relative_to(folder).parent, set())
                names |= defined(ast.parse(source))
    found: list[str] = []
    for path, source in sources.items():
        name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        found += problems(name, source, known[path.parent])
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
