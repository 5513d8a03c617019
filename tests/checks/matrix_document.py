"""`python -m tests.checks.matrix_document`: write docs/checks-matrix.md from the variants."""

from __future__ import annotations

from tests.checks.handlers import lookups
from tests.checks.running import CHECKS
from tests.checks.variants import VARIANTS, Variant
from tests.processes import ROOT

DOCUMENT = ROOT / "docs" / "checks-matrix.md"

_HEAD = """\
# What the checks find

The checks of [checks.md](checks.md) are themselves checked: by {handlers} handlers, each of which
is broken in one way or only looks so, and by one without defects, which passes all. Each row is a
test: `make test` runs checks that a handler must fail for all but a few handlers that take long,
which `make nightly` runs, and `make checks-matrix` all checks of all handlers, which takes hours.

This page is written by `python -m tests.checks.matrix_document`.

The handlers are in `tests/checks/handlers`.

## By handler

*Must fail* are the checks that are about the defect; *may fail* those that it can make fail, too.
All others have to pass, or to be skipped because their control fails.

| Handler | Defect | Must fail | May fail |
|---|---|---|---|
"""
_BY_CHECK = """
## By check

| Check | Level | Found in |
|---|---|---|
"""


def render() -> str:
    """Return the document."""
    text = _HEAD.format(handlers=len(VARIANTS))
    text += "".join(f"| {' | '.join(_row(variant))} |\n" for variant in VARIANTS)
    text += _BY_CHECK
    for check in CHECKS:
        found = [variant.name for variant in VARIANTS if check.id in variant.breaks]
        text += f"| `{check.id}` | {check.level} | {_codes(found)} |\n"
    return text


def _row(variant: Variant) -> tuple[str, str, str, str]:
    docstring = (lookups.find(variant.name).__doc__ or "").strip()
    defect = docstring.partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    may_fail = "(the run ends)" if variant.ends_run else _codes(variant.may_fail)
    return f"`{variant.name}`", defect, _codes(variant.breaks), may_fail


def _codes(texts: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts)


if __name__ == "__main__":
    DOCUMENT.write_text(render())
