"""Shared fixtures of tests of webhooks."""

from django.db import connection

# Row locks are PostgreSQL's; nothing is skipped (`--no-skips`).
collect_ignore = [] if connection.vendor == "postgresql" else ["test_stopped_process.py"]
