"""The console script `connect-sim`: the same commands as `manage.py`."""

import os
import sys


def main() -> None:
    """Run a management command; `connect-sim sandbox` is `python manage.py sandbox`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Settings: {error}")
