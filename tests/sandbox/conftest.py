"""Tests of the sandbox."""

from django.db import connection

# Several transactions that write at the same time (`--no-skips`).
collect_ignore = [] if connection.vendor == "postgresql" else ["test_timeline_commits.py"]
