"""`check`: judge a webhook handler, with evidence and a cure for each failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from connect_sim.cli import check_options, interrupts, options, running


@click.command(cls=options.Command, example='connect-sim check --run "python handler.py"')
@click.argument("url", required=False)
@check_options.with_options
@options.data_dir
def check(**given: Any) -> int:
    """Judge a webhook handler: authentic, idempotent, complete, fast, safe at every crash point.

    The handler runs at URL, beside the running sandbox, which is put back at the end; or --run
    starts it with a sandbox of its own. Each failure has evidence and says how to fix the handler.
    Exit codes: 0 (all pass), 1 (a failure), 2 (wrong usage, could not run, nothing was run, a
    control failed, or with --strict a MUST was not judged), 128 and the number of a signal
    (130: Ctrl-C).
    """
    from connect_sim.cli import check_output, check_requests

    with _errors():
        running.refuse_server()
        if given["is_list"] or given["explain"]:
            return check_output.print_catalog(check_requests.described(given))
        request = check_requests.read(given)
    from checks import runner

    with interrupts.ending() as interruption, _errors():
        report = runner.run(request.options, check_output.progress(request))
        code = check_output.write(report, request)
    return interruption.exit_code if interruption.number else code


@contextmanager
def _errors() -> Iterator[None]:
    """Give all errors the exit code of wrong usage: 1 is that of a handler that fails."""
    try:
        yield
    except click.ClickException as error:
        error.exit_code = 2  # type: ignore[misc]
        raise
