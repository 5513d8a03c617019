"""Django's management commands, for `manage.py` and for `connect-sim sandbox` and `manage`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from connect_sim import installation

# Commands of the program that `manage.py` has too.
FORWARDED = ("clock", "listen", "queue")


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
    installation.refuse_windows()
    # A handler may be a Django project too, and have set its own.
    os.environ["DJANGO_SETTINGS_MODULE"] = "connect_sim.settings"
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError, InterfaceError

    try:
        execute_from_command_line(list(arguments))
    except ImproperlyConfigured as error:
        raise installation.StartError(error) from None
    except (DatabaseError, InterfaceError) as error:
        from requests_queue.db import database_errors

        if not (sentence := database_errors.unavailable(error)):
            raise
        first = sentence.partition(". ")[0]
        reason = f"{first} ({database_errors.summary(error)})."
        raise installation.StartError(reason) from None
