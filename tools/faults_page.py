"""Check that the end of docs/faults.md, which describes each fault, is as the registry has it.

Exits with 1 if it isn't; with `--write`, writes it. A part of `make lint`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Also when it is run as a script.
sys.path.insert(0, str(ROOT))

from sandbox.faults.kinds import API, DELIVERY, KINDS, TASK, Kind  # noqa: E402
from tools import project  # noqa: E402

PAGE = "docs/faults.md"
MARKER = "<!-- From here on, this page is written by tools/faults_page.py. -->\n"
_SIDES = {DELIVERY: "Requests to handlers", API: "Calls of the API", TASK: "Tasks of extensions"}


def updated(page: str, kinds: Iterable[Kind]) -> str:
    """Return the page with its end, below the marker, written anew."""
    before, marker, _ = page.partition(MARKER)
    if not marker:
        sys.exit(f"{PAGE} has no line {MARKER.strip()}")
    return before + marker + "".join(f"{line}\n" for line in render(kinds))


def render(kinds: Iterable[Kind]) -> Iterator[str]:
    """Yield the lines of a section for each kind."""
    yield ""
    yield "## Kinds"
    for kind in kinds:
        yield from ("", f"### {kind.name}", "")
        for side, text in kind.texts.items():
            yield f"- {_SIDES[side]}: {text[0].lower()}{text[1:]}"
        if not kind.is_final:
            yield "- It fires beside others."
        if kind.parameters:
            yield from ("", "| Parameter | |", "|---|---|")
        for parameter in kind.parameters:
            sides = [_SIDES[side] for side in kind.sides if side in parameter.sides]
            only = f"{sides[0]}: " if len(sides) < len(kind.sides) else ""
            yield f"| `{parameter.name}` | {only}{parameter.description} |"


def main() -> None:
    """Check the page, or write it."""
    options = project.parser(__doc__).parse_args()
    text = updated((ROOT / PAGE).read_text(encoding="utf-8"), KINDS.values())
    project.check(ROOT, {Path(PAGE): text}, "tools/faults_page.py", write=options.write)


if __name__ == "__main__":
    main()
