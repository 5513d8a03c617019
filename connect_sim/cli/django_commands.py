"""Django's management commands, for `manage.py` and for `connect-sim sandbox` and `manage`."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from connect_sim import installation

# Commands of the program that `manage.py` has too.
FORWARDED = ("clock", "listen", "queue")
_PACKAGES = ("connect_sim", "sandbox", "portal", "extensions", "webhooks", "requests_queue")


def main() -> None:
    """Run `manage.py`."""
    if sys.argv[1:2] and sys.argv[1] in FORWARDED:
        from connect_sim import cli

        cli.main()
    else:
        run(sys.argv)


def run(arguments: Sequence[str]) -> None:
    """Run a management command; the first argument is the name of the program.

    Errors of settings and database are printed as one line, with exit code 1.
    """
    # Nearly all that a start makes stays: collections would take a tenth of its time. A process
    # that serves collects as `requests_queue.db.garbage` says from then on.
    gc.set_threshold(200_000)
    with _django():
        from django.core.management import execute_from_command_line

        execute_from_command_line(list(arguments))


def call(name: str, *arguments: str) -> str:
    """Return what a management command prints; raises ClickException for its refusal."""
    with set_up():
        from django.core.management import CommandError, call_command

        printed = io.StringIO()
        try:
            call_command(name, *arguments, stdout=printed)
        except CommandError as error:
            raise click.ClickException(str(error)) from None
        return printed.getvalue()


def own() -> list[tuple[str, str]]:
    """Return the names of this project's management commands, and what each does."""
    with set_up():
        from django.core.management import get_commands, load_command_class

        return [
            (name, load_command_class(app, name).help)
            for name, app in sorted(get_commands().items())
            if isinstance(app, str) and app.partition(".")[0] in _PACKAGES
        ]


@contextmanager
def set_up() -> Iterator[None]:
    """Let the block use our models; its errors of settings and database end the process."""
    with _django():
        import django

        django.setup()
        yield


@contextmanager
def _django() -> Iterator[None]:
    """Let the block use our settings; its errors of settings and database end the process."""
    installation.refuse_windows()
    # A handler may be a Django project too, and have set its own.
    os.environ["DJANGO_SETTINGS_MODULE"] = "connect_sim.settings"
    from django.core.exceptions import ImproperlyConfigured
    from django.db import DatabaseError, InterfaceError

    try:
        yield
    except ImproperlyConfigured as error:
        raise installation.StartError(error) from None
    except (DatabaseError, InterfaceError) as error:
        from requests_queue.db import database_errors

        if not (sentence := database_errors.unavailable(error)):
            raise
        first = sentence.partition(". ")[0]
        reason = f"{first} ({database_errors.summary(error)})."
        raise installation.StartError(reason) from None
