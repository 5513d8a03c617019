"""`sandbox` and `manage`: commands that run Django in this process."""

from __future__ import annotations

import os
from pathlib import Path

import click

from connect_sim.cli import django_commands, options, output, running
from connect_sim.cli.reading import Chosen
from connect_sim.server import listening
from requests_queue.alternatives import SETTINGS

_BIND = "127.0.0.1:8000"


@click.command(cls=options.Command, example="connect-sim sandbox --port 8001")
@click.option("--no-seed", is_flag=True, help="Start without demo data.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="The port to listen on, instead of that of SIM_BIND; 0 is any free port.",
)
@click.option(
    "--port-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the port to this file when the server accepts connections.",
)
@click.option(
    "--allow-changes",
    is_flag=True,
    help="Let agents change the sandbox by MCP, not only read it (SIM_ALLOW_CHANGES).",
)
@click.option(
    "--exit-with-parent", is_flag=True, help="Stop when standard input ends, which must be a pipe."
)
@click.option(
    "--reading",
    "readings",
    multiple=True,
    type=Chosen(),
    metavar="ID=ALTERNATIVE",
    help="An alternative of what public sources leave open, also after a reset; may be repeated. "
    "`connect-sim reading` lists them.",
)
@options.errors_as_json
@options.data_dir
def sandbox(
    no_seed: bool,
    port: int | None,
    port_file: Path | None,
    allow_changes: bool,
    exit_with_parent: bool,
    readings: tuple[tuple[str, str], ...],
) -> None:
    """Run web server, worker and scheduler in one process until Ctrl-C.

    Creates the database and the demo data on first use.
    """
    if given_dir := options.given_data_dir():
        os.environ["SIM_DATA_DIR"] = str(given_dir.absolute())
    if port is not None:
        _use_port(port)
    if allow_changes:
        os.environ["SIM_ALLOW_CHANGES"] = "true"
    os.environ |= {SETTINGS[name]: alternative for name, alternative in readings}
    given = {
        "--no-seed": no_seed,
        "--exit-with-parent": exit_with_parent,
        f"--port-file={port_file}": port_file is not None,
    }
    arguments = [name for name, is_given in given.items() if is_given]
    django_commands.run(["connect-sim", "sandbox", *arguments])


@click.command(
    cls=options.Command,
    example="connect-sim manage signin vendor",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def manage(arguments: tuple[str, ...]) -> None:
    """Run one of Django's management commands, as `python manage.py` does.

    Without one, those of this project are listed; `manage help` lists Django's, too.
    """
    use_data_dir()
    if arguments:
        django_commands.run(["connect-sim manage", *arguments])
    else:
        output.lines(output.table(django_commands.own()))


def use_data_dir() -> None:
    """Let Django use the folder in which commands find the running sandbox."""
    os.environ["SIM_DATA_DIR"] = str(running.data_dir())


def _use_port(port: int) -> None:
    """Set the port of SIM_BIND, which the settings check; 0 takes a free one now."""
    bind = running.variable("SIM_BIND") or _BIND
    try:
        chosen = listening.with_port(bind, port) if port else listening.reserve(bind)
    except (OSError, ValueError) as error:
        reason = error.args[-1] if error.args else error
        raise click.ClickException(f"Cannot bind a free port of {bind} ({reason}).") from None
    os.environ["SIM_BIND"] = chosen
