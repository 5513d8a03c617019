"""Fixtures of the sandbox's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from sandbox.world import snapshot_storage, snapshots
from tests import make
from tests.api import Caller, caller
from tests.sandbox import worlds
from webhooks.delivery.engine import Engine

# Several transactions that write at the same time, and PostgreSQL's locks (`--no-skips`).
collect_ignore = (
    []
    if connection.vendor == "postgresql"
    else ["timeline/test_timeline_commits.py", "world/test_replacement_locks.py"]
)


@pytest.fixture
def who(catalog: make.Catalog) -> Caller:
    """The vendor's client."""
    return caller(catalog.vendor)


@pytest.fixture
def engine(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that wake-ups and moves of the clock reach, as in a sandbox with one process."""
    monkeypatch.setattr("webhooks.delivery.engine.wake", engine.wake)
    return engine


@pytest.fixture
def no_snapshots(transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[None]:
    """A storage of snapshots of the test's own."""
    settings.SIM_DATA_DIR = tmp_path
    yield
    # On PostgreSQL they are schemas of the database.
    storage = snapshot_storage.current()
    for snapshot in storage.all():
        storage.delete(snapshot.name)


@pytest.fixture
def saved(no_snapshots: None, seeded: Any) -> worlds.Rows:
    """The demo data, saved as at the start of a sandbox; its rows."""
    snapshots.save_seed()
    return worlds.contents()


@pytest.fixture
def changed(saved: worlds.Rows, vendor: Caller, distributor: Caller) -> worlds.Rows:
    """The rows of a world that differs from the demo data and from the snapshot `a`."""
    worlds.webhook(vendor, "http://127.0.0.1:9/")
    worlds.purchase(distributor)
    worlds.ok(vendor.post("/sandbox/snapshots", {"name": "a", "patience": 0}))
    worlds.purchase(distributor)
    return worlds.contents()
