"""Texts of evidence and handlers on one line or several, safe to show."""

from __future__ import annotations

import re

from checks.outcomes import Exhibit
from requests_queue.safe_text import visible

LONGEST = 240  # characters of a line of evidence
MOST = 25  # lines of an exhibit
# What begins a command of a CI service in a line of a log: `::error::` after any spaces, and
# `##[error]` or `##vso[…]` anywhere.
_COMMAND = re.compile(r"^\s*:(?=:)|##\w*(?=\[)")


def without_command(line: str) -> str:
    """Return a line of output that no CI service takes for a command."""
    return _COMMAND.sub(r"\g<0>\\", line)


def one_line(text: str) -> str:
    """Return a text on one line, with control characters made visible."""
    return visible(text).replace("\n", "␊").replace("\t", "␉")


def shortened(exhibit: Exhibit) -> list[str]:
    """Return the lines of an exhibit for a terminal: the first ones, and how many are left out."""
    lines = evidence_lines(exhibit)
    cut = [line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in lines[:MOST]]
    if len(lines) > MOST:
        cut.append(f"… {len(lines) - MOST} more lines")
    return cut


def evidence_lines(exhibit: Exhibit) -> list[str]:
    """Return the lines of an exhibit, safe to show; a text of several lines becomes several."""
    return [line for text in exhibit.lines for line in visible(text).split("\n")]
