"""The matrix is run again after changes of programs, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks import matrix_hashes
from tests.checks.matrix_hashes import hash_of_part

CHECKS = '"""Checks."""\n\n\ndef get(lab):\n    """Send."""\n    return {value}  # why\n'


@pytest.fixture(autouse=True)
def fresh() -> None:
    for cached in (matrix_hashes._of_group, matrix_hashes._of_handler, matrix_hashes._program):
        cached.cache_clear()


def program(folder: Path, text: str) -> str:
    path = folder / f"module{len(list(folder.iterdir()))}.py"
    path.write_text(text)
    return matrix_hashes._program(path)


def test_program_has_no_texts(tmp_path: Path) -> None:
    text = CHECKS.format(value=1) + 'CHECKS = (Check("auth.get", "A text"),)\n'
    same = text.replace("Checks.", "Other.").replace("Send.", "Do.").replace("why", "because")
    assert program(tmp_path, text) == program(tmp_path, same.replace("A text", "Another"))
    assert program(tmp_path, text) != program(tmp_path, text.replace("return 1", "return 2"))


def test_part_depends_on_its_group_and_handler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [("reference", "auth"), ("reference", "speed"), ("rejects_get", "auth")]
    before = [hash_of_part(*part) for part in parts]
    assert len({*before, matrix_hashes.hash_of_all()}) == 4

    def changed(name: str) -> list[bool]:
        fresh_program = matrix_hashes._program.__wrapped__
        monkeypatch.setattr(
            matrix_hashes,
            "_program",
            lambda path: fresh_program(path) + ("changed" if path.name == name else ""),
        )
        matrix_hashes._of_group.cache_clear()
        matrix_hashes._of_handler.cache_clear()
        found = [hash_of_part(*part) for part in parts]
        monkeypatch.undo()
        return [old != new for old, new in zip(before, found, strict=True)]

    assert changed("auth.py") == [True, False, True]
    assert changed("broken_auth.py") == [False, False, True]
    assert changed("reference.py") == [True, True, True]
    assert changed("verdicts.py") == [True, True, True]
    assert changed("runner.py") == [False, False, False]
