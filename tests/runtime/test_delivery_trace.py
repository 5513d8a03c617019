"""The way of a delivery through the modules of `webhooks` stays within its bounds."""

from __future__ import annotations

import os
import sys

from tests.processes import ROOT, output


def test_delivery_stays_within_the_bounds_of_modules_and_moves() -> None:
    command = [sys.executable, str(ROOT / "tools" / "delivery_trace.py"), "--functions"]
    printed = output(command, dict(os.environ), timeout=120)
    assert "webhooks.delivery.record.record\n" in printed
