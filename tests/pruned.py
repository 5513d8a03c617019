"""Run retention to its end."""

from __future__ import annotations

from collections import Counter

import pytest

from requests_queue.db import retention


def prune_all(*, dry_run: bool = False) -> Counter[str]:
    """Remove what no policy keeps, without pauses; return the numbers of rows."""
    result = retention.run(pause=lambda seconds: None, dry_run=dry_run)
    assert not result.failed and result.position is None
    return result.removed


def prune() -> int:
    """Remove what no policy keeps, and return the number of deliveries."""
    return prune_all()["deliveries"]


def small_steps(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Let each step remove that many rows."""
    monkeypatch.setattr(retention, "MIN_ROWS", rows)
    monkeypatch.setattr(retention, "MAX_ROWS", rows)
