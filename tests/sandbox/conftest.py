"""Fixtures of the sandbox's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from sandbox import snapshots
from tests.sandbox import worlds

# Several transactions that write at the same time (`--no-skips`).
collect_ignore = [] if connection.vendor == "postgresql" else ["test_timeline_commits.py"]


@pytest.fixture
def saved(
    transactional_db: None, settings: Any, tmp_path: Path, seeded: Any
) -> dict[str, list[Any]]:
    """The demo data, saved as at the start of a sandbox; its rows."""
    settings.SIM_DATA_DIR = tmp_path
    snapshots.save_seed()
    return worlds.contents()
