"""The program `connect-sim` in the process of a test."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from connect_sim.cli import program


class Failed(Exception):
    """The program ended with another exit code than 0; the text is its line on stderr."""

    def __init__(self, code: int, line: str, out: str) -> None:
        super().__init__(line)
        self.code, self.out = code, out


def run(*arguments: str) -> str:
    """Return what the program prints; raises Failed."""
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        code = program.run(arguments)
    if code != 0:
        raise Failed(code, errors.getvalue().removesuffix("\n"), out.getvalue())
    assert errors.getvalue() == "", errors.getvalue()
    return out.getvalue()


def run_json(*arguments: str) -> Any:
    """Return what the program prints with --json, decoded; raises Failed."""
    return json.loads(run(*arguments, "--json"))
