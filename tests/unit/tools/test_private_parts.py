"""`make lint` refuses private parts of libraries, and formatting that is switched off."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tools import private_parts

LIBRARY = """
class Base:
    def __init__(self):
        self._state_of_it = 0
    def _method(self): pass
    def public(self): return self._method()
_value = 1
"""


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from library import _value", ["_value"]),
        ("from json import _default_decoder", ["_default_decoder"]),
        ("def own():\n import asyncio._private", ["_private"]),
        ("def look(other): return other._method()", ["_method"]),
        ("class Our(Base):\n def _method(self): pass", ["_method"]),
        ("class Our(Base):\n def own(self): return self._state_of_it", ["_state_of_it"]),
        ("class Our(Base):\n def own(self): super()._method()", ["_method"]),
        ("class Our(Base):\n def __init__(self): self._state_of_it = 1", ["_state_of_it"]),
        # Our own parts.
        ("class Our(Base):\n def _own(self): return self._own()", []),
        ("class Our:\n def _method(self): return self._method()", []),
        ("def _own(): pass\nclass Our(Base):\n def public(self): return _own()", []),
        ("class Our:\n _own = 1\ndef look(other): return other._own", []),
        ("def own():\n from webhooks import _value", []),
        ("_ = 1\ndef look(row): return row.__class__, row._meta, row._replace(a=1)", []),
        ("TEXT = 'no other._method'", []),
    ],
)
def test_private_parts_of_libraries_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, names: list[str]
) -> None:
    found = problems(tmp_path, monkeypatch, source)
    assert found == [f"ours: {name} is private" for name in names]


def test_listed_part_is_accepted_while_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(private_parts.PARTS, "ours", {"_value"})
    assert problems(tmp_path, monkeypatch, "from library import _value") == []
    assert problems(tmp_path, monkeypatch, "") == ["ours: _value is listed, but not used"]


@pytest.mark.parametrize("comment", ["# fmt: skip", "#fmt:off"])
def test_formatting_is_not_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comment: str
) -> None:
    found = problems(tmp_path, monkeypatch, f"a = 1  {comment}")
    assert found == ["ours: formatting is switched off"]


@pytest.mark.parametrize(
    ("lines", "expected"), [(449, []), (450, ["ours: 451 lines, of 450 at most"])]
)
def test_modules_are_not_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int, expected: list[str]
) -> None:
    # With the line of the import.
    assert problems(tmp_path, monkeypatch, "\n".join(["a = 1"] * lines)) == expected


def problems(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> list[str]:
    source = f"from library import Base\n{source}\n"
    (folder / "library.py").write_text(LIBRARY)
    (folder / "ours.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    for name in ("library", "ours"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    known = private_parts.defined(ast.parse(source))
    return private_parts.problems("ours", source, known)
