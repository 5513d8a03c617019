"""The embedded default as `manage.py sandbox` runs it: web, worker, scheduler and engine in one
process, with its SQL statements counted."""

from __future__ import annotations

import os
from pathlib import Path

import django

from benchmarks import clerk, tally
from benchmarks.pipes import serve


def main() -> None:
    """Run all parts until SIGTERM."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    tally.install(Path(os.environ["BENCH_TALLY"]))
    django.setup()
    from connect_sim.runtime import Runtime
    from connect_sim.wsgi import application

    runtime = Runtime(application)
    runtime.start()
    try:
        serve({"ready": lambda: True, "commit": clerk.commit, "pace": clerk.pace})
    finally:
        runtime.stop()


if __name__ == "__main__":
    main()
