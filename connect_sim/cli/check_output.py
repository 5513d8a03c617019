"""What `check` prints and writes."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checks.catalog import CHECKS
from checks.model import Check, InReading, Outcome, Report
from checks.outputs import (
    baseline,
    catalog_texts,
    events,
    exit_code,
    github,
    html,
    json_report,
    junit,
    last_failed,
    proof_markdown,
    receipt,
    terminal,
)
from checks.outputs import progress as bars
from checks.outputs.marks import reading_mark
from checks.outputs.proof import Proof
from connect_sim.cli import output
from connect_sim.cli.errors import CliError, Code

if TYPE_CHECKING:
    from connect_sim.cli.check_requests import Request

_SUMMARY = "GITHUB_STEP_SUMMARY"
_STANDARD_OUTPUT = "-"


def print_catalog(checks: Sequence[Check] | Check) -> int:
    """Print a line for each check, or all texts of one."""
    if isinstance(checks, Check):
        lines = catalog_texts.explain_lines(checks)
    else:
        lines = catalog_texts.list_lines(checks)
    for line in lines:
        click.echo(line)
    return 0


def progress(request: Request) -> bars.Progress:
    """Return what shows how far a run is."""
    if request.is_streamed:
        return events.Stream(request.checks, request.options.strict, sys.stdout)
    return bars.create(len(request.checks), request.options.strict, sys.stderr)


def show_reading(found: InReading, strict: bool) -> None:
    """Print a line for an alternative that has been judged."""
    output.error_line(f"{reading_mark(found, strict).value} {found.alternative.choice}")


def write(report: Report, request: Request) -> int:
    """Print the report, write the files, and return the exit code; raises CliError."""
    report = _with_baseline(report, request)
    is_json = request.json_file == _STANDARD_OUTPUT
    terminal.write(report, sys.stderr if is_json or request.is_streamed else sys.stdout)
    if request.is_streamed:
        events.write_report(report, sys.stdout)
    else:
        _note_failures(report)
    if is_json:
        click.echo(json_report.render(report), nl=False)
    elif request.json_file:
        _write(Path(request.json_file), json_report.render(report))
    if request.junit:
        _write(request.junit, junit.render(report))
    if request.html:
        _write(request.html, html.render(report))
    if summary := os.environ.get(_SUMMARY):
        _append(github.render(report), Path(summary))
    return exit_code.exit_code(report)


def write_proof(proof: Proof, file: Path | None, summary: Path | None, as_json: bool) -> int:
    """Print the proof, write its files, and return the exit code; raises CliError."""
    if as_json:
        click.echo(receipt.render(proof), nl=False)
    else:
        _print_proof(proof)
    if file:
        _write(file, receipt.render(proof))
    if summary:
        _write(summary, proof_markdown.render(proof))
    if path := os.environ.get(_SUMMARY):
        _append(proof_markdown.render(proof), Path(path))
    return proof.decision.exit_code


def _print_proof(proof: Proof) -> None:
    for name, tree in zip(("Before", "Now"), proof.trees, strict=True):
        output.line(f"{name}: {proof_markdown.describe(tree)}")
    output.line(f"Checks of {proof.now.target}, seed {proof.now.seed}")
    for first, second in proof.changed:
        outcomes = f"{first.verdict.outcome} → {second.verdict.outcome}"
        output.line(f"{second.check.id} ({second.check.level}): {outcomes}", indent=2)
        if second.verdict.outcome is not Outcome.PASS:
            output.line(second.verdict.text, indent=4)
        if second.trace:
            output.line(f"Trace: connect-sim trace {shlex.quote(second.trace)}", indent=4)
    if not proof.decision.is_proven:
        output.line(f"Reproduce: {proof.command}")
    output.line(f"{proof.decision.word}: {proof.decision.reason}")


def _with_baseline(report: Report, request: Request) -> Report:
    """Return the report with its known failures, of the updated file if that is asked for."""
    today, known = datetime.now(UTC).date(), request.known
    if request.baseline and request.updates_baseline:
        if report.error:
            return replace(report, notes=(*report.notes, "The baseline was not updated."))
        text = baseline.render(report, known, today)
        _write(request.baseline, text)
        known = baseline.read(text, CHECKS)
    return baseline.apply(report, known, today)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _cannot_write(path, error) from None


def _note_failures(report: Report) -> None:
    try:
        last_failed.write(report)
    except OSError as error:
        # The verdict is worth more.
        click.echo(f"Warning: {_cannot_write(last_failed.FILE, error).message}", err=True)


def _append(text: str, path: Path) -> None:
    try:
        github.append(text, path)
    except OSError as error:
        # CI has set it: the verdict is worth more.
        click.echo(f"Warning: {_cannot_write(path, error).message}", err=True)


def _cannot_write(path: Path, error: OSError) -> CliError:
    return CliError(Code.CANNOT_WRITE, f"{path} cannot be written: {error.strerror or error}.")
