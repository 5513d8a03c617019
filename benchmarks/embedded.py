"""The embedded set-up with an SQL counter: web server, worker, scheduler and engine in one
process, as `manage.py sandbox` runs them."""

from __future__ import annotations

import os
from pathlib import Path

import django

from benchmarks import sql_counter, workload
from benchmarks.processes import serve


def main() -> None:
    """Run all parts until SIGTERM."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    sql_counter.install(Path(os.environ["BENCH_SQL_COUNTER"]))
    django.setup()
    from connect_sim.runtime import Runtime
    from connect_sim.wsgi import application

    runtime = Runtime(application)
    runtime.start()
    try:
        serve({"ready": lambda: True, "commit": workload.commit, "pace": workload.pace})
    finally:
        runtime.stop()


if __name__ == "__main__":
    main()
