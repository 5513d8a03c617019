"""Refuse words that the glossary (docs/glossary.md) replaces: a part of `make lint`.

Reads every text file of the repository and every file name. Prints `path:line: message` for each
denied word and exits with 1. Identifiers are split first: `birth_rules` and `BirthRules` are both
"birth rules".
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What is denied (a regular expression, matched as whole words without regard to case), and what
# to write instead. Only words that have no other use in this project.
WORDS = (
    ("wake-up calls?", "delivery"),
    ("births?|born", "create, creation"),
    ("deeds?", "action"),
    ("rungs?|ladders?", "attempt, backoff"),
    ("outbox", "claims, deliveries"),
    ("sketch(?:es|ed)?", "preview"),
    ("wish(?:es|ed)?", "request"),
    ("pulses?", "heartbeat"),
    ("standstill", "clock hook"),
    ("mend(?:s|ed|ing)?", "recover, fix"),
    ("ledger", "recording"),
    ("flights?|fly|flies|flying", "in flight, attempt"),
    ("under way", "in flight, running"),
    ("whoever", "the user, the caller: say who"),
    ("doors?", "entry point, endpoint"),
    ("clerk|tally|rivals?", "workload, SQL counter, baseline"),
    ("obstacles?", "why unavailable, reason"),
    ("comes? to be", "is created"),
    ("good-?bye", "close"),
    ("parted", "separated"),
    ("st(?:and|ands|anding|ood) still", "is frozen"),
    ("in vain", "without result: say what was waited for"),
    ("told of", "notified of"),
    ("by hand", "manually"),
    ("as ever", "as before"),
    ("holds? nobody(?: up)?", "does not block"),
    ("may not be had", "is not available"),
    ("is ill", "is failing"),
    (
        "behaviour|catalogues?|colour|misspelt|organis(?:e|ation)s?|whilst",
        "American spelling: behavior, catalog, color, misspelled, organize, while",
    ),
)
# Not our words: licenses, versions and hashes of packages; and this list with its test.
EXEMPT = (
    "LICENSE",
    "requirements.txt",
    "requirements-dev.txt",
    "tools/check_words.py",
    "tests/unit/tools/test_check_words.py",
)

# Words of a phrase may be separated by a line break, also in a comment.
_GAP = r"[\s#*/]+"
_DENIED = [
    (re.compile(rf"\b(?:{words.replace(' ', _GAP)})\b", re.IGNORECASE), instead)
    for words, instead in WORDS
]
_ALLOWED = re.compile(r"\bin\W+flights?\b", re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def problems(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, denied words and replacement for each place in a text."""
    plain = _ALLOWED.sub(_blank, _HUMP.sub(" ", text).replace("_", " "))
    for pattern, instead in _DENIED:
        for match in pattern.finditer(plain):
            yield plain.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), instead


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def check(root: Path, names: Iterable[str]) -> list[str]:
    """Return a message for each denied word in the named files and in their names."""
    messages = []
    for name in names:
        if name.startswith(EXEMPT):
            continue
        for _, word, instead in problems(name):
            messages.append(f"{name}: the file name has '{word}'; use: {instead}")
        try:
            text = (root / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a picture, or a deleted file that is not committed yet
        for number, word, instead in sorted(problems(text)):
            messages.append(f"{name}:{number}: '{word}'; use: {instead}")
    return messages


def main() -> None:
    """Check the files that Git tracks or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    messages = check(ROOT, [name for name in listed.stdout.split("\0") if name])
    for message in messages:
        print(message)
    if messages:
        sys.exit(f"{len(messages)} denied words; docs/glossary.md has the terms of this project.")


if __name__ == "__main__":
    main()
