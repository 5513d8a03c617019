"""The size of the code: what counts as a statement."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from tools import statements
from tools.statements import Size


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", 0),
        ('"""Only words."""\nimport os\nfrom os import path\n', 0),
        ("a = 1; b = 2", 2),
        ('def f():\n    """Say."""\n    return 1\n', 2),
        ('class A:\n    """Say."""\n\n    b: int = 1\n', 2),
        ('def f():\n    "Say."\n    "No docstring."\n', 2),
        ("if a:\n    import os\nelse:\n    b()\n", 2),
    ],
)
def test_docstrings_and_imports_do_not_count(source: str, expected: int) -> None:
    assert statements.count(source).statements == expected


def test_statement_that_does_more_has_more_nodes() -> None:
    plain, nested = statements.count("a = b"), statements.count("a = [c(d) for d in b]")
    assert plain.statements == nested.statements == 1
    assert plain.nodes < nested.nodes


def test_rows_add_up_modules_without_migrations() -> None:
    rows = statements.table(
        {
            PurePosixPath("sandbox/clock/moves.py"): "a = 1",
            PurePosixPath("webhooks/models.py"): "a = 1\nb = 2",
            PurePosixPath("webhooks/migrations/0001_initial.py"): "a = 1",
            PurePosixPath("tests/test_a.py"): "a = 1",
        }
    )
    assert {name: size.statements for name, size in rows.items() if size != Size()} == {
        "product": 3,
        "of it sandbox, checks": 1,
        "of it webhooks": 2,
        "tests": 1,
    }
