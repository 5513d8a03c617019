"""Shared fixtures of tests of webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from webhooks import webhook_health

# Row locks are PostgreSQL's; nothing is skipped (`--no-skips`).
collect_ignore = [] if connection.vendor == "postgresql" else ["test_stopped_process.py"]


@pytest.fixture
def sound_counters(db: None) -> Iterator[None]:
    """Check after the test that the counters of webhooks are those of their rows."""
    yield
    assert webhook_health.counter_discrepancies() == []
