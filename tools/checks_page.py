"""Check that the end of docs/checks.md, which describes each check, is as the catalog has it.

Exits with 1 if it isn't; with `--write`, writes it. A part of `make lint`.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Also when it is run as a script.
sys.path.insert(0, str(ROOT))

from sandbox.checks.catalog import CHECKS  # noqa: E402
from sandbox.checks.model import Check, Need  # noqa: E402
from sandbox.checks.outputs.catalog_texts import NEEDS  # noqa: E402
from sandbox.checks.outputs.marks import DOCS, anchor, check_groups  # noqa: E402

_WIDTH = 105
_CODE = re.compile(r"(`[^`]*`)")
# What Markdown would read as markup; single underscores inside words are none.
_SPECIAL = re.compile(r"[\\*<>\[\]|&~]|(?<![^\W_])_|_(?![^\W_])")
# At the beginning of a line: a list, a heading, a rule.
_BLOCK = re.compile(r"^( *\d*)([-+#=.)])")
MARKER = "<!-- From here on, this page is written by tools/checks_page.py. -->\n"


def updated(page: str, checks: Sequence[Check]) -> str:
    """Return the page with its end, below the marker, written anew."""
    before, marker, _ = page.partition(MARKER)
    if not marker:
        sys.exit(f"{DOCS} has no line {MARKER.strip()}")
    return before + marker + render(checks)


def render(checks: Sequence[Check]) -> str:
    """Return a table of all checks, and a section for each."""
    lines = ["", "## All checks", "", "| Group | Checks |", "|---|---|"]
    groups = check_groups(checks)
    for group, members in groups.items():
        links = ", ".join(
            f"[{check.id.partition('.')[2]}](#{anchor(check.id)})" for check in members
        )
        lines.append(f"| {group} | {links} |")
    for group, members in groups.items():
        lines += ["", f"## {group}"]
        for check in members:
            lines += ["", *_section(check)]
    return "\n".join(lines) + "\n"


def _section(check: Check) -> Iterator[str]:
    yield f"### {check.id}"
    yield ""
    yield from _wrapped(f"{_level(check)}. {_text(check.title)}.")
    yield ""
    for name, text in (
        ("Needs", ", ".join(NEEDS[need] for need in Need if need in check.needs)),
        ("Sent", check.sends),
        ("Expected", check.expects),
        ("Why", check.why),
        ("Fix", check.fix),
    ):
        yield from _wrapped(f"**{name}:** {_text(text)}", "- ", "  ")


def _level(check: Check) -> str:
    return f"{check.level}, control" if check.is_control else str(check.level)


def _text(text: str) -> str:
    """Return a text for a paragraph; code in backticks stays code."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(
        part if i % 2 else _SPECIAL.sub(r"\\\g<0>", part) for i, part in enumerate(parts)
    )


def _wrapped(text: str, first: str = "", following: str = "") -> list[str]:
    lines = textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=following,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [*lines[:1], *(_BLOCK.sub(r"\1\\\2", line) for line in lines[1:])]


def main() -> None:
    """Check the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true", help="write the page")
    is_writing, page = parser.parse_args().write, ROOT / DOCS
    text = page.read_text(encoding="utf-8")
    current = updated(text, CHECKS)
    if is_writing:
        page.write_text(current, encoding="utf-8")
    elif current != text:
        sys.exit(f"{DOCS} is not as the catalog has it; run tools/checks_page.py --write")


if __name__ == "__main__":
    main()
