"""`sandbox` and `manage`: commands that run Django in this process."""

from __future__ import annotations

import os

import click

from connect_sim.cli import django_commands, options


@click.command(cls=options.Command, example="connect-sim sandbox --no-seed")
@click.option("--no-seed", is_flag=True, help="Start without demo data.")
@options.data_dir
def sandbox(no_seed: bool) -> None:
    """Run web server, worker and scheduler in one process until Ctrl-C.

    Creates the database and the demo data on first use.
    """
    _use_data_dir()
    django_commands.run(["connect-sim", "sandbox", *(["--no-seed"] if no_seed else [])])


@click.command(
    cls=options.Command, example="connect-sim manage signin vendor", add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)  # fmt: skip
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def manage(arguments: tuple[str, ...]) -> None:
    """Run one of Django's management commands, as `python manage.py` does."""
    _use_data_dir()
    django_commands.run(["connect-sim manage", *(arguments or ("help",))])


def _use_data_dir() -> None:
    if given := options.given_data_dir():
        os.environ["SIM_DATA_DIR"] = str(given.absolute())
