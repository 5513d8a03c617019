"""The Celery application with an SQL counter: `celery -A benchmarks.celery_app worker`."""

import os
from pathlib import Path

from benchmarks import sql_counter
from connect_sim.celery import app

__all__ = ["app"]

sql_counter.install(Path(os.environ["BENCH_SQL_COUNTER"]))
