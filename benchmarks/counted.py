"""The Celery application with its SQL statements counted: `celery -A benchmarks.counted worker`."""

import os
from pathlib import Path

from benchmarks import tally
from connect_sim.celery import app

__all__ = ["app"]

tally.install(Path(os.environ["BENCH_TALLY"]))
