"""The way of a delivery through the modules of `webhooks` stays within its bounds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_delivery_stays_within_the_bounds_of_modules_and_moves() -> None:
    command = [sys.executable, str(ROOT / "tools" / "delivery_trace.py"), "--functions"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "webhooks.delivery.record.record\n" in done.stdout
