"""Shutdown of a process by signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any


def on_signals() -> Callable[[], Any]:
    """Return a function that waits for SIGINT or SIGTERM; a second signal ends the process.

    It waits on a pipe: the interrupted code could hold a lock that the signal handler needs.
    """
    read_end, write_end = os.pipe()
    received: list[int] = []

    def stop(signum: int, frame: Any) -> None:
        if received:
            raise SystemExit(128 + signum)
        received.append(signum)
        os.write(write_end, b"x")

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return lambda: os.read(read_end, 1)
