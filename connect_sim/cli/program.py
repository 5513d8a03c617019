"""The commands of `connect-sim`, and how the program runs and ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from checks.client import ApiError
from checks.sandbox_file import NoSandbox
from connect_sim import __version__
from connect_sim.cli import errors, options
from connect_sim.cli.errors import NAME
from connect_sim.installation import StartError

_INTERRUPTED = 130

# Where each command is defined, with its summary, so that a call imports one module.
_COMMANDS = {
    "sandbox": ("processes", "Run the whole sandbox in one process (the default)."),
    "init": ("init", "Write a handler, with tests and a CI file, to start from."),
    "listen": ("listen", "Run a webhook handler on this machine that prints each request."),
    "queue": ("queue", "Create samples, run actions, validate drafts."),
    "webhook": ("webhook", "Create, show, trigger, change and delete webhooks."),
    "extension": ("extension", "Make an extension, and see what its runner does."),
    "product": ("product", "List products; import and export them as workbooks."),
    "clock": ("clock", "Show and move the platform time."),
    "hold": ("hold", "Keep the clock from moving on."),
    "deliveries": ("observing", "Show deliveries with their attempts."),
    "timeline": ("observing", "Show what happened, in order."),
    "wait": ("wait", "Wait until a condition is true."),
    "reading": ("reading", "Show and choose what is assumed about Connect."),
    "fault": ("fault", "Let requests and responses fail on purpose."),
    "check": ("check", "Judge a webhook handler."),
    "coverage": ("coverage", "Show which cases tests made happen, with stubs for the others."),
    "trace": ("trace", "Show why a test or a check has failed, from its trace."),
    "exec": ("exec", "Run a program, such as your tests, with a sandbox of its own."),
    "forecast": ("observing", "Show the next attempts if all of them fail."),
    "reset": ("world", "Put the sandbox back to its demo data."),
    "snapshot": ("world", "Save and restore the sandbox's data by name."),
    "doctor": ("doctor", "Find out what is wrong with the sandbox, and what to do."),
    "env": ("access", "Print addresses and an API key, as exports for a shell."),
    "mcp": ("mcp", "Print what makes agents use the sandbox (MCP)."),
    "open": ("access", "Open the portal in a browser, signed in."),
    "key": ("access", "List, create and revoke API keys."),
    "docs": ("docs", "Print a page of the documentation, or search it."),
    "skill": ("skill", "Install instructions for an agent that writes a handler."),
    "manage": ("processes", "Run one of Django's management commands."),
}
# Management commands that users may look for here.
_MANAGEMENT = ("apikey", "check_counters", "fresh", "migrate", "prune", "seed", "signin", "web")


class Program(options.Group):
    """The commands, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now."""
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"connect_sim.cli.{_COMMANDS[cmd_name][0]}")
        # `exec` and `open` are functions of Python.
        attribute = f"{cmd_name}_" if cmd_name in ("exec", "open") else cmd_name
        command: click.Command = getattr(module, attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; name `manage` for Django's."""
        if args[0] in _MANAGEMENT and not ctx.resilient_parsing:
            text = f"No such command {args[0]!r}. Use: {NAME} manage {args[0]}."
            raise errors.UnknownCommand(text, ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=Program, default="sandbox", example="connect-sim clock advance 5m")
@click.version_option(__version__, message="%(prog)s %(version)s")
@options.data_dir
def program() -> None:
    """Run and use Connect Sim, a sandbox of CloudBlue Connect.

    Without a command, the sandbox starts. Exit codes: 0, 1 (refused, or an expectation is not
    met), 2 (wrong usage), 3 (the sandbox cannot be reached).
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program, and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal may lack the arrows and ellipses of the output.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        sys.exit(run(arguments))
    except BrokenPipeError:
        # The reader (`head`) has read enough; Python would report it again at the exit.
        sys.stdout = None
        sys.exit(0)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json, stdout = errors.wants_json(arguments), sys.stdout
    try:
        try:
            result: Any = program.main(arguments, prog_name=NAME, standalone_mode=False)
        except StartError as error:
            if as_json:
                return errors.report(error, as_json=True)
            raise
        except SystemExit:
            # So click ends a program whose output nobody reads: it has replaced the stream.
            if sys.stdout is not stdout:
                return 0
            raise
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return errors.USAGE
    except click.Abort:
        return _INTERRUPTED
    except (click.ClickException, NoSandbox, ApiError) as error:
        return errors.report(error, as_json=as_json)
    except BrokenPipeError:
        raise
    except Exception as error:
        if as_json:
            return errors.report(error, as_json=True)
        raise
