"""What the tools share: the packages of the project, and files that a tool checks or writes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = ROOT / "pytest-connect-sim"
PACKAGES = (
    "connect_sim",
    "sandbox",
    "checks",
    "portal",
    "extensions",
    "webhooks",
    "requests_queue",
)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of a tool with `--write`."""
    created = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    created.add_argument("--write", action="store_true", help="write the files")
    return created


def check(root: Path, files: Mapping[Path, str | None], tool: str, *, write: bool) -> None:
    """Exit with a message if files differ from their texts, or write them; None is no file."""
    paths = {root / path: text for path, text in files.items()}
    texts = {path: path.read_text(encoding="utf-8") for path in paths if path.exists()}
    changed = {path: text for path, text in paths.items() if texts.get(path) != text}
    if changed and not write:
        names = ", ".join(sorted(str(path.relative_to(root)) for path in changed))
        sys.exit(f"{names}: not up to date; run {tool} --write, and read the diff")
    for path, text in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text, encoding="utf-8")
