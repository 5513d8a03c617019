"""docs/checks-matrix.md: which check finds which broken handler."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.checks.catalog import CHECKS
from tests.checks.handlers import lookups
from tests.checks.variants import VARIANTS, Variant
from tests.processes import ROOT

DOCUMENT = ROOT / "docs" / "checks-matrix.md"
# Outcomes by handler and id.
Cells = dict[str, dict[str, str]]

_HEAD = """\
# What the checks find

The checks of [checks.md](checks.md) are themselves checked: by {handlers} handlers, each of which
is broken in one way or only looks so, and by one without defects, which passes all. This page is
written by `make checks-matrix`, which runs all checks of all handlers. A test fails if a check or a
handler has changed since.

The handlers are in `tests/checks/handlers`.

## By handler

*Must fail* are the checks that are about the defect; *also fail* those that it makes fail, too, or
that can't be judged because of it.

| Handler | Defect | Must fail | Also fail |
|---|---|---|---|
"""
_BY_CHECK = """
## By check

| Check | Level | Found in |
|---|---|---|
"""
_HASH = "<!-- Checks and handlers: {hash} -->\n"
_SHOWN = 8  # ids in a cell


def render(cells: Cells, hash: str) -> str:
    """Return the document; `cells` are the outcomes of all checks of all handlers."""
    text = _HEAD.format(handlers=len(VARIANTS))
    text += "".join(f"| {' | '.join(_row(v, cells[v.name]))} |\n" for v in VARIANTS)
    text += _BY_CHECK
    text += "".join(f"| {' | '.join(row)} |\n" for row in _checks(cells))
    return text + "\n" + _HASH.format(hash=hash)


def stored_hash() -> str:
    """Return the hash in the document, empty without a document."""
    if not DOCUMENT.exists():
        return ""
    match = re.search(_HASH.format(hash="(.*)").strip(), DOCUMENT.read_text())
    return match[1] if match else ""


def _row(variant: Variant, outcomes: dict[str, str]) -> Iterator[str]:
    docstring = (lookups.find(variant.name).__doc__ or "").strip()
    yield f"`{variant.name}`"
    yield docstring.partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    yield _ids([id for id in variant.breaks if id in outcomes])
    if variant.ends_run:
        yield "(the run ends)"
    else:
        failed = [id for id, outcome in outcomes.items() if outcome not in ("pass", "skipped")]
        yield _ids([id for id in failed if id not in variant.breaks])


def _checks(cells: Cells) -> Iterator[tuple[str, str, str]]:
    for check in CHECKS:
        found = [
            f"`{variant.name}`"
            for variant in VARIANTS
            if check.id in variant.breaks and cells[variant.name].get(check.id) == "fail"
        ]
        yield f"`{check.id}`", str(check.level), ", ".join(found)


def _ids(ids: list[str]) -> str:
    shown = ", ".join(f"`{id}`" for id in ids[:_SHOWN])
    hidden = len(ids) - _SHOWN
    return f"{shown} and {hidden} more" if hidden > 0 else shown
