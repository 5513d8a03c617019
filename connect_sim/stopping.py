"""How a process of ours learns that it is to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any


def on_signals() -> Callable[[], Any]:
    """Return what waits for the first SIGINT or SIGTERM; the second ends the process at once."""
    # A pipe: a lock that a signal's handler wants could be held by what the signal interrupts.
    read_end, write_end = os.pipe()
    seen: list[int] = []

    def stop(signum: int, frame: Any) -> None:
        if seen:
            raise SystemExit(128 + signum)
        seen.append(signum)
        os.write(write_end, b"x")

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return lambda: os.read(read_end, 1)
