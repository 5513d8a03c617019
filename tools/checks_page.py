"""Check that docs/checks.md and docs/checks/ describe each check as the catalog has it.

docs/checks.md ends with a table of all checks; docs/checks/ has a page for each group, the skill
one of all. Exits with 1 if they differ; with `--write`, writes them. A part of `make lint`.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Also when it is run as a script.
sys.path.insert(0, str(ROOT))

from checks.catalog import CHECKS  # noqa: E402
from checks.model import Check, Need  # noqa: E402
from checks.outputs.catalog_texts import needs  # noqa: E402
from checks.outputs.marks import check_groups  # noqa: E402
from tools import project  # noqa: E402

_WIDTH = 105
_CODE = re.compile(r"(`[^`]*`)")
# What Markdown would read as markup; single underscores inside words are none.
_SPECIAL = re.compile(r"[\\*<>\[\]|&~]|(?<![^\W_])_|_(?![^\W_])")
# At the beginning of a line: a list, a heading, a rule.
_BLOCK = re.compile(r"^( *\d*)([-+#=.)])")
INDEX = Path("docs/checks.md")
FOLDER = Path("docs/checks")
SKILL = Path("skills/connect-webhook-handler/references/checks.md")
MARKER = "<!-- From here on, this page is written by tools/checks_page.py. -->\n"


def pages(index: str, checks: Sequence[Check]) -> dict[Path, str]:
    """Return all pages by path: the index, whose end is written anew, and one for each group."""
    before, marker, _ = index.partition(MARKER)
    if not marker:
        sys.exit(f"{INDEX} has no line {MARKER.strip()}")
    groups = check_groups(checks)
    lines = ["", "## All checks", "", "| Group | Checks |", "|---|---|"]
    for group, members in groups.items():
        page = f"{FOLDER.name}/{group}.md"
        links = ", ".join(_link(page, check) for check in members)
        lines.append(f"| [{group}]({page}) | {links} |")
    return {
        INDEX: before + marker + "\n".join(lines) + "\n",
        **{FOLDER / f"{group}.md": render(group, members) for group, members in groups.items()},
        SKILL: "\n".join(_summary(_of_handlers(groups))) + "\n",
    }


def _of_handlers(groups: Mapping[str, Sequence[Check]]) -> Mapping[str, Sequence[Check]]:
    """Return the groups without that of extensions: the skill is about handlers."""
    return {name: each for name, each in groups.items() if Need.EXTENSION not in each[0].needs}


def _summary(groups: Mapping[str, Sequence[Check]]) -> Iterator[str]:
    """Yield the lines of the skill's page, which an agent reads as a whole."""
    yield "# The checks"
    yield ""
    yield "<!-- Written by tools/checks_page.py. -->"
    yield ""
    yield "A MUST that fails counts; a SHOULD counts with `--strict`; a MAY is a hint. The control"
    yield "is the first of its group: nothing else of the group is judged unless it passes."
    yield "`connect-sim check --explain ID` says what is sent, why it matters, and how to fix it."
    for group, members in groups.items():
        yield from ("", f"## {group}", "")
        for check in members:
            text = f"**{check.id}** ({_level(check)}). {_text(check.title)}: {_text(check.expects)}"
            yield from _wrapped(text, "- ", "  ")


def render(group: str, checks: Sequence[Check]) -> str:
    """Return the page of a group, with a section for each check."""
    lines = [
        f"# {group}",
        "",
        "<!-- Written by tools/checks_page.py. -->",
        "",
        "What these checks send to a handler, what they expect, and why. Levels, the verdict and",
        "all groups are in [checks.md](../checks.md).",
    ]
    for check in checks:
        lines += ["", *_section(check)]
    return "\n".join(lines) + "\n"


def _link(page: str, check: Check) -> str:
    # The anchor that GitHub gives the heading of a check's id.
    anchor = check.id.replace(".", "").lower()
    return f"[{check.id.partition('.')[2]}]({page}#{anchor})"


def _section(check: Check) -> Iterator[str]:
    yield f"## {check.id}"
    yield ""
    yield from _wrapped(f"{_level(check)}. {_text(check.title)}.")
    yield ""
    for name, text in (
        ("Needs", needs(check)),
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
    """Check the pages, or write them."""
    options = project.parser(__doc__).parse_args()
    current = pages((ROOT / INDEX).read_text(encoding="utf-8"), CHECKS)
    removed = {path.relative_to(ROOT): None for path in (ROOT / FOLDER).glob("*.md")}
    project.check(ROOT, {**removed, **current}, "tools/checks_page.py", write=options.write)


if __name__ == "__main__":
    main()
