"""`check prove`: whether a change repairs what failed before, and breaks nothing."""

from __future__ import annotations

import io
import os
import random
import shlex
import sys
from collections.abc import Sequence
from contextlib import chdir, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

import click

from connect_sim.cli import check_options, errors, interrupts, options, output, running
from connect_sim.cli.errors import CliError, Code

if TYPE_CHECKING:
    from checks.model import Report
    from checks.options import Options
    from checks.trees import Tree, Workshop


@click.command(
    cls=options.Command, example='connect-sim check prove --before main --run "python handler.py"'
)
@click.option(
    "--before",
    required=True,
    metavar="REF",
    help="The state before the change: a commit, branch or tag of Git, or else a folder.",
)
@click.option(
    "--select",
    multiple=True,
    shell_complete=check_options.complete_check,
    metavar="CHECKS",
    help="What the change is to repair, separated by commas: each of these ids must fail before; "
    "of a group or a glob, at least one check. Default: all that failed before and counts. The "
    "others are run too; --ignore leaves some out.",
)
@click.option("--strict", is_flag=True, help="Failures of SHOULD count too.")
@click.option(
    "--setup",
    metavar="COMMAND",
    help="Run this in each tree before the handler starts there, without a shell.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    metavar="NUMBER",
    help="The seed of both runs. Default: another one each time, so that no handler can be "
    "made for it.",
)
@click.option("--receipt", type=check_options.FILE, metavar="FILE", help="Write the receipt.")
@click.option(
    "--summary", type=check_options.FILE, metavar="FILE", help="Write a summary in Markdown."
)
@options.as_json
@check_options.shared
def prove(**given: Any) -> int:
    """Prove that a change repairs a handler, and breaks nothing: check it before, and now.

    Proven: what is selected failed before and passes now, and nothing that passed before fails
    now. What could not be judged proves nothing. Each handler starts in a temporary folder with
    the files that Git has of its state; now, these are all that are not ignored, committed or not.
    What fails now leaves traces.

    Exit codes: 0 (proven), 1 (not proven), 2 (wrong usage, or one of the two could not be
    checked), 128 and the number of a signal (130: Ctrl-C).
    """
    from checks import trees
    from checks.guard import Guard
    from checks.outputs import proof
    from connect_sim.cli import check_output

    with errors.as_usage():
        running.refuse_server()
        asked, selected, setup = _read(given)
        # Neither Git here nor the handler is to use the repository of a hook that calls us.
        for name in trees.REPOSITORY_VARIABLES:
            os.environ.pop(name, None)
    with interrupts.ending() as interruption, errors.as_usage():
        # With JSON there is nothing else on either stream.
        out = io.StringIO() if given["as_json"] else sys.stderr
        try:
            with Guard() as guard, trees.Workshop(guard) as workshop:
                pair = _trees(workshop, given["before"], out)
                untraced = replace(asked, traces=None)
                before = _check(workshop, pair[0], untraced, setup, out)
                now = _check(workshop, pair[1], asked, setup, out)
        except (KeyboardInterrupt, click.ClickException):
            if interruption.number:
                return interruption.exit_code
            raise
        except OSError as error:
            raise CliError(Code.CANNOT_WRITE, f"The proof could not be made: {error}.") from None
        decision = proof.decide(before, now, selected)
        command = _command(given, asked)
        found = proof.Proof(pair, before, now, decision, command)
        return check_output.write_proof(found, given["receipt"], given["summary"], given["as_json"])


def _read(given: dict[str, Any]) -> tuple[Options, tuple[str, ...], tuple[str, ...]]:
    """Return options, globs and the words of --setup; raises ClickException."""
    from checks import handler_command, runner
    from checks.catalog import CHECKS
    from connect_sim.cli import check_requests

    if not given["run"]:
        raise click.MissingParameter(param_hint="'--run'", param_type="option")
    if given["seed"] is None:
        given["seed"] = random.SystemRandom().randrange(2**31)
    asked = check_requests.handler_options(given)
    selected = check_requests.globs("--select", given["select"])
    checks = runner.select(CHECKS, asked)
    for glob in selected or ("*",):
        if not any(check.matches([glob]) for check in checks):
            text = f"no check that is run matches {glob!r}."
            raise click.BadParameter(text, param_hint="--select")
    files = {f"--{name}": given[name] for name in ("receipt", "summary") if given[name]}
    check_requests.require_writable(files, given["traces"])
    try:
        setup = handler_command.split(given["setup"]) if given["setup"] is not None else ()
    except handler_command.BadCommand as error:
        raise click.BadParameter(str(error), param_hint="--setup") from None
    return asked, selected, setup


def _trees(workshop: Workshop, before: str, out: TextIO) -> tuple[Tree, Tree]:
    """Return both trees, and print what they lack; raises ClickException."""
    from checks.trees import NoTree, TreeError

    try:
        pair = workshop.trees(before)
    except NoTree as error:
        raise click.BadParameter(str(error), param_hint="--before") from None
    except TreeError as error:
        raise CliError(Code.FAILED, str(error)) from None
    if pair[0].id == pair[1].id:
        text = f"{before} has the same files as there are now; there is no change to prove."
        raise click.BadParameter(text, param_hint="--before")
    for note in dict.fromkeys(note for tree in pair for note in tree.notes):
        _print(f"Note: {note}", out)
    return pair


def _check(
    workshop: Workshop, tree: Tree, asked: Options, setup: tuple[str, ...], out: TextIO
) -> Report:
    """Return the report of one tree; raises ClickException if there is none."""
    from checks import handler_command, runner
    from checks.catalog import CHECKS
    from checks.outputs import progress, proof_markdown
    from checks.trees import CommandError
    from connect_sim.cli import check_requests

    name = proof_markdown.describe(tree)
    _print(f"Checking {name}", out)
    if setup:
        try:
            workshop.run(setup, tree, handler_command.without_ours(os.environ))
        except CommandError as error:
            raise _failure(f"--setup failed in {name}: {error}.", error.output, out) from None
    # Handlers start in the tree, and traces are left here.
    options = replace(asked, traces=asked.traces and asked.traces.absolute())
    with chdir(tree.folder):
        try:
            check_requests.require_programs(options)
        except click.BadParameter as error:
            text = f"{error.message} In {name}, ignored files are left out."
            raise click.BadParameter(text, param_hint=error.param_hint) from None
        bar = progress.create(len(runner.select(CHECKS, options)), options.strict, out)
        report = runner.run(options, bar)
    if report.error:
        text = f"The checks of {name} could not be run: {report.error}"
        raise _failure(text, report.output.splitlines()[-20:], out)
    shown = asked.without_values()
    results = (
        replace(
            each,
            reproduce=shown.reproduce(each.check.id, *each.verdict.repeated_by),
            trace=each.trace and os.path.relpath(each.trace),
        )
        for each in report.results
    )
    return replace(report, results=tuple(results))


def _failure(text: str, printed: Sequence[str], out: TextIO) -> CliError:
    """Return an error, which has what was printed last only where that is not shown."""
    for line in printed:
        _print(f"  | {line.rstrip()}", out)
    if printed and out is not sys.stderr:
        text += f" The output ends with: {' '.join(printed)}"
    return CliError(Code.FAILED, text)


def _print(text: str, out: TextIO) -> None:
    """Print a line; a stream that is gone is no error of the proof."""
    with suppress(OSError):
        click.echo(output.one_line(text), out)


def _command(given: dict[str, Any], asked: Options) -> str:
    """Return the command line that repeats the proof."""
    from requests_queue.redaction import Redaction

    words = [*asked.without_values().words("prove"), "--before", given["before"]]
    for name in ("select", "ignore"):
        for text in given[name]:
            words += [f"--{name}", text]
    if given["setup"]:
        words += ["--setup", given["setup"]]
    words += [*["--strict"] * asked.strict, "--seed", str(asked.seed)]
    return Redaction(()).text(shlex.join(words))
