"""Hostile responses take bounded memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's /proc")
def test_memory_grows_by_less_than_20_mib_over_all_hostile_responses() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.webhooks.memory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    failures, grown = done.stdout.split()
    assert int(failures) >= 30
    assert int(grown) < 20 * 1024, f"the process grew by {grown} KiB"
