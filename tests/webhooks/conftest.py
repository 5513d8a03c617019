"""The fixtures that tests of the emitter share."""

from django.db import connection

from tests.webhooks.validating import own_loop

__all__ = ["own_loop"]

# Where there is nothing to lock by rows, so that nothing is skipped (`--no-skips`).
collect_ignore = [] if connection.vendor == "postgresql" else ["test_stopped_process.py"]
