"""Check that the end of docs/faults.md, which describes each fault, is as the registry has it.

Exits with 1 if it isn't; with `--write`, writes it. A part of `make lint`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Also when it is run as a script.
sys.path.insert(0, str(ROOT))

from sandbox.faults.kinds import API, DELIVERY, KINDS, Kind  # noqa: E402

PAGE = "docs/faults.md"
MARKER = "<!-- From here on, this page is written by tools/faults_page.py. -->\n"
_SIDES = {DELIVERY: "Requests to handlers", API: "Calls of the API"}


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
        if kind.parameters:
            yield from ("", "| Parameter | |", "|---|---|")
        for parameter in kind.parameters:
            sides = [_SIDES[side] for side in kind.sides if side in parameter.sides]
            only = f"{sides[0]}: " if len(sides) < len(kind.sides) else ""
            yield f"| `{parameter.name}` | {only}{parameter.description} |"


def main() -> None:
    """Check the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true", help="write the page")
    is_writing, page = parser.parse_args().write, ROOT / PAGE
    text = page.read_text(encoding="utf-8")
    current = updated(text, KINDS.values())
    if is_writing:
        page.write_text(current, encoding="utf-8")
    elif current != text:
        sys.exit(f"{PAGE} is not as the registry has it; run tools/faults_page.py --write")


if __name__ == "__main__":
    main()
