"""A reset or restore by another process: it doesn't close the gate of this one."""

from __future__ import annotations

from sandbox.world import snapshots, tables


def replaced(name: str = snapshots.SEED) -> None:
    """Replace all data by a snapshot, as another process does."""
    action = snapshots.RESET if name == snapshots.SEED else snapshots.RESTORED
    tables.in_own_thread(lambda: snapshots._replace_rows(name, action))
