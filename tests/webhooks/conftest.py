"""Shared fixtures of tests of webhooks."""

from django.db import connection

from tests.webhooks.validating import own_loop

__all__ = ["own_loop"]

# Row locks are PostgreSQL's; nothing is skipped (`--no-skips`).
collect_ignore = [] if connection.vendor == "postgresql" else ["test_stopped_process.py"]
