"""Output of the commands: lines that are safe in a terminal, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click

from requests_queue.safe_text import visible
from requests_queue.time_format import format_moment


def one_line(text: Any) -> str:
    """Return a text of another program on one line, with control characters made visible."""
    return visible(str(text)).replace("\n", "␊").replace("\t", "␉")


def line(text: Any, indent: int = 0) -> None:
    """Print one line."""
    click.echo(f"{' ' * indent}{one_line(text)}")


def error_line(text: str) -> None:
    """Print a line to standard error; the exit code stays the same if nobody reads it."""
    try:
        click.echo(text, err=True)
    except OSError:
        # Python would try again at the exit, and end with 120.
        sys.stderr = None


def lines(texts: Iterable[Any]) -> None:
    """Print each text as a line."""
    for text in texts:
        line(text)


def answer(content: Any, as_json: bool, texts: Iterable[Any]) -> None:
    """Print what a command answers: the content as JSON, or the lines for people."""
    if as_json:
        print_json(content)
    else:
        lines(texts)


def print_json(content: Any, *, compact: bool = False) -> None:
    """Print JSON, indented, or on one line."""
    click.echo(json.dumps(content, indent=None if compact else 2))


def moment(text: str | None) -> str:
    """Return a time of the API as `2026-11-26 01:42:30 UTC`, `-` if there is none."""
    return format_moment(datetime.fromisoformat(text)) if text else "-"


def table(rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return rows in columns as lines; the last column is not padded."""
    cells = [[one_line("-" if cell in (None, "") else cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
