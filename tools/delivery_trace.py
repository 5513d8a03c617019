"""Print the way of one delivery through the modules of `webhooks`.

A queue change on SQLite, in one process with an engine, whose request succeeds: from the receipt of
the change to the stored result, each function at its first call. `webhooks.conf` (settings),
`webhooks.tracing` and what the sandbox calls are left out. A move is a function of another module
than the one before. Exits with 1 above the bounds.

    python tools/delivery_trace.py [--functions] [--checkout FOLDER]

With `--checkout`, another checkout is traced, without bounds.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

MODULES, MOVES = 16, 40
# The receiver of changes, and one of recorded attempts.
BEGINS, ENDS = "record_changes", "announce_ends"
LEFT_OUT = ("webhooks.conf", "webhooks.tracing", "webhooks.delivery.tracing")


class Recorder:
    """Records the calls of functions of `webhooks` in all threads, in order."""

    def __init__(self, root: Path) -> None:
        self._folder = f"{root / 'webhooks'}{os.sep}"
        self._sandbox = f"{root / 'sandbox'}{os.sep}"
        self.calls: dict[tuple[str, str], None] = {}
        self.ended = threading.Event()

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Record a call; a profile function of Python."""
        code = frame.f_code
        if event != "call":
            return
        if code.co_name == ENDS:
            self.ended.set()
        if not code.co_filename.startswith(self._folder):
            return
        # Comprehensions belong to their function.
        if code.co_name.startswith("<") or self._is_called_by_sandbox(frame):
            return
        if (not self.calls and code.co_name != BEGINS) or self.ended.is_set():
            return
        path = code.co_filename.removeprefix(self._folder).removesuffix(".py")
        module = f"webhooks.{path.replace(os.sep, '.')}"
        if module not in LEFT_OUT:
            self.calls.setdefault((module, code.co_qualname))

    def _is_called_by_sandbox(self, frame: FrameType) -> bool:
        caller = frame.f_back
        return caller is not None and caller.f_code.co_filename.startswith(self._sandbox)


def trace(root: Path) -> list[tuple[str, str]]:
    """Deliver once, and return the calls: module and function."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    from requests_queue.models import Heartbeat
    from requests_queue.queues.fulfillment import creation
    from webhooks.delivery import engine as engines
    from webhooks.models import Attempt

    # No poll by the timer comes in between.
    engines.TICK = 60

    names = ("tests.make", "tests.handlers", "tests.engines")
    make, handlers, waiting = map(importlib.import_module, names)
    recorder = Recorder(root)
    threading.setprofile(recorder)
    sys.setprofile(recorder)
    engine = engines.Engine()
    with handlers.handler() as served:
        catalog = make.catalog()
        make.webhook(catalog, served.url)
        engine.start()
        from webhooks.delivery import wakeup

        wakeup.wake_engine = engine.wake
        # The end of its first poll follows its heartbeat.
        waiting.until(Heartbeat.objects.filter(kind="worker").exists, "the first poll")
        time.sleep(0.5)
        creation.create(make.purchase(catalog), catalog.as_distributor)
        recorder.ended.wait(30)
        sys.setprofile(None)
        engine.stop()
    assert Attempt.objects.get().outcome == "success"
    return list(recorder.calls)


def main() -> int:
    """Print the figures, and compare them with the bounds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--functions", action="store_true", help="print each call")
    parser.add_argument("--checkout", type=Path, help="another checkout to trace")
    options = parser.parse_args()
    root = (options.checkout or Path(__file__).parent.parent).resolve()
    sys.path.insert(0, str(root))
    os.chdir(root)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "connect_sim.settings",
            "SIM_DATA_DIR": folder,
            "DATABASE_URL": f"sqlite:///{folder}/trace.sqlite3",
            "SIM_ALLOW_NETWORKS": "loopback",
        }
        calls = trace(root)
    modules = [module for module, _ in calls]
    moves = sum(before != after for before, after in itertools.pairwise(modules))
    if options.functions:
        print("\n".join(f"{module}.{name}" for module, name in calls))
    count = len(set(modules))
    print(f"{count} modules, {moves} moves between them, {len(calls)} functions")
    print("  " + " ".join(module.removeprefix("webhooks.") for module in dict.fromkeys(modules)))
    return int(options.checkout is None and (count > MODULES or moves > MOVES))


if __name__ == "__main__":
    sys.exit(main())
