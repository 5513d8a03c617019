"""docs/checks-matrix.md is about the checks and the handlers as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks import matrix, matrix_document
from tests.checks.handlers.lookups import REFERENCE
from tests.checks.running import CHECKS
from tests.checks.variants import VARIANTS


def test_document_has_each_handler_and_each_check() -> None:
    lines = matrix_document.render().splitlines()
    row = "| `rejects_get` | It accepts POST only, whatever the webhook's method is. |"
    assert f"{row} `auth.get` | `effects.forged_none` |" in lines
    [found] = [line for line in lines if line.startswith("| `auth.get` | MUST |")]
    assert "`rejects_get`" in found
    assert sum(line.startswith("| `") for line in lines) == len(VARIANTS) + len(CHECKS)


def test_document_is_current() -> None:
    text = matrix_document.DOCUMENT.read_text()
    assert text == matrix_document.render(), "run python -m tests.checks.matrix_document"


def test_each_part_is_run_once() -> None:
    parts = [(variant.name, group) for variant, group in matrix.parts()]
    assert len(parts) == len(set(parts))
    assert ("rejects_get", "auth") in parts and ("rejects_get", "validator") not in parts
    assert ("validates_without_token", "auth") not in parts
    assert {group for name, group in parts if name == REFERENCE} == {c.group for c in CHECKS}


def test_outcomes_of_other_checks_or_handlers_are_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "STATE", tmp_path / "state.json")
    variant, group = matrix.parts()[0]
    matrix.State("1").put(variant, group, matrix.Part({"auth.get": "pass"}))
    assert matrix.State("1").find(variant, group) == matrix.Part({"auth.get": "pass"})
    assert matrix.State("2").find(variant, group) is None
