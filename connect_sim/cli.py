"""The console script `connect-sim`, with the same commands as `manage.py`."""

import os
import sys


def main() -> None:
    """Run a management command: `connect-sim sandbox` is `python manage.py sandbox`.

    Errors of settings and database are printed as one line, with exit code 1.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError, InterfaceError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Settings: {error}")
    except (DatabaseError, InterfaceError) as error:
        from requests_queue import database_errors

        if not (sentence := database_errors.unavailable(error)):
            raise
        first = sentence.partition(". ")[0]
        sys.exit(f"Database: {first} ({database_errors.summary(error)}).")
