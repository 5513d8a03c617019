"""`check`: judge a webhook handler, with evidence and a cure for each failure."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from connect_sim.cli import check_options, check_prove, errors, interrupts, options, running


class _Check(options.NamedInErrors, options.Group):
    """A command that has subcommands: any other first argument is its own argument."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **more: Any,
    ) -> click.Context:
        """Return the context of the command that is meant."""
        if args and (command := self.commands.get(args[0])):
            name = f"{info_name} {command.name}"
            return command.make_context(name, args[1:], parent, **more)
        return super().make_context(info_name, args, parent, **more)


@click.group(
    cls=_Check,
    example='connect-sim check --run "python handler.py"',
    invoke_without_command=True,
    subcommand_metavar="",
    context_settings={"allow_interspersed_args": True},
)
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

    with errors.as_usage():
        running.refuse_server()
        if given["is_list"] or given["explain"]:
            return check_output.print_catalog(check_requests.described(given))
        request = check_requests.read(given)
    from checks import readings, runner

    with interrupts.ending() as interruption, errors.as_usage():
        if request.alternatives:
            report = readings.run(
                request.options,
                request.alternatives,
                check_output.progress(request),
                partial(check_output.show_reading, strict=request.options.strict),
            )
        else:
            report = runner.run(request.options, check_output.progress(request))
        code = check_output.write(report, request)
    return interruption.exit_code if interruption.number else code


check.add_command(check_prove.prove)
