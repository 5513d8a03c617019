"""docs/checks-matrix.md is about the checks and the handlers as they are."""

from __future__ import annotations

from sandbox.checks.catalog import CHECKS
from tests.checks import matrix, matrix_document
from tests.checks.handlers.lookups import REFERENCE
from tests.checks.matrix_hashes import hash_of_all
from tests.checks.variants import VARIANTS


def test_document_has_each_handler_and_each_check() -> None:
    cells = {variant.name: dict.fromkeys(variant.breaks, "fail") for variant in VARIANTS}
    cells["rejects_get"] |= {"auth.control": "pass", "token.replay": "fail"}
    text = matrix_document.render({REFERENCE: {}, **cells}, "abc123")
    lines = text.splitlines()
    row = "| `rejects_get` | It accepts POST only, whatever the webhook's method is. |"
    assert f"{row} `auth.get` | `token.replay` |" in lines
    [found] = [line for line in lines if line.startswith("| `auth.get` | MUST |")]
    assert "`rejects_get`" in found
    assert sum(line.startswith("| `") for line in lines) == len(VARIANTS) + len(CHECKS)
    assert "<!-- Checks and handlers: abc123 -->" in lines


def test_each_part_is_run_once() -> None:
    parts = [(variant.name, group) for variant, group in matrix.parts()]
    assert len(parts) == len(set(parts))
    assert ("rejects_get", "auth") in parts and ("rejects_get", "validator") not in parts
    assert ("validates_without_token", "auth") not in parts
    assert {group for name, group in parts if name == REFERENCE} == {c.group for c in CHECKS}


def test_document_is_current() -> None:
    assert matrix_document.stored_hash() == hash_of_all(), "make checks-matrix has to run again"


def test_each_part_has_outcomes_unless_the_run_could_not_begin() -> None:
    state = matrix.State()
    empty = {
        (variant.name, group)
        for variant, group in matrix.parts()
        if (part := state.find(variant, group)) and not part.outcomes
    }
    assert empty == {
        (variant.name, group)
        for variant in VARIANTS
        if variant.ends_run
        for group in matrix.groups_of(variant)
    }
