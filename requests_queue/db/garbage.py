"""Garbage collection of a process that serves requests or sends deliveries."""

from __future__ import annotations

import gc
import os
import threading
import time

from django.db import connection

# Objects or collections of each generation before the next one.
THRESHOLDS = (50_000, 10, 10)
_PERIOD = 0.25  # seconds between two looks of the thread at the thresholds

_thread: threading.Thread | None = None
# A forked process doesn't have the thread.
os.register_at_fork(after_in_child=gc.enable)


def tune() -> None:
    """Leave out what is loaded by now, and collect less often, because more is loaded later.

    A page of a list makes thousands of objects, and so do a thousand requests in flight:
    collections would take a fifth of the CPU time.

    On SQLite a thread without transactions collects. Finalizing a cursor may wait for the thread
    that uses its connection, and that one for the write lock: a collection by the thread that holds
    the lock would stop all writers until a timeout.
    """
    global _thread
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    if connection.vendor == "sqlite":
        gc.disable()
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_collect, name="garbage", daemon=True)
            _thread.start()


def _collect() -> None:
    """Collect when the interpreter would."""
    while True:
        time.sleep(_PERIOD)
        for generation, count in reversed(list(enumerate(gc.get_count()))):
            if count > THRESHOLDS[generation]:
                gc.collect(generation)
                break
