"""The table of broken handlers agrees with the handlers and with the catalog."""

from __future__ import annotations

from collections import Counter

from checks.catalog import BY_ID
from tests.checks.handlers import lookups
from tests.checks.running import CHECKS
from tests.checks.variants import VARIANTS
from tests.processes import ROOT


def test_each_broken_handler_has_one_row() -> None:
    assert Counter(variant.name for variant in VARIANTS) == Counter(lookups.broken().keys())


def test_each_check_has_a_handler_that_fails_it() -> None:
    broken = {id for variant in VARIANTS for id in variant.breaks}
    checks = {check.id for check in CHECKS if not check.is_control}
    assert checks <= broken


def test_checks_that_follow_have_a_reason() -> None:
    assert [v.name for v in VARIANTS if bool(v.follows) != bool(v.reason)] == []


def test_no_handler_names_a_check() -> None:
    files = [
        path
        for folder in ("tests/checks/handlers", "tests/checks/extensions", "examples")
        for pattern in ("*.py", "*.mjs", "*.md")
        for path in (ROOT / folder).rglob(pattern)
        if "node_modules" not in path.parts
    ]
    assert len(files) > 20
    named = {(path.name, id) for path in files for id in BY_ID if id in path.read_text()}
    assert not named
