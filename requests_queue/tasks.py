"""Celery tasks of the platform: scheduled jobs, and retention."""

from __future__ import annotations

import time

from celery import shared_task

from requests_queue import clock, heartbeats, jobs
from requests_queue.db import background_work, retention

PRUNE_EVERY = 900.0  # seconds between two runs of retention


@shared_task
def run_due() -> None:
    """Run the jobs that are due by platform time."""
    with background_work.running():
        heartbeats.record(heartbeats.SCHEDULER)
        jobs.run_due_jobs(clock.now())


@shared_task
def prune(start: retention.Position | None = None, until: float | None = None) -> None:
    """Remove rows that no retention policy keeps, for a few seconds, and continue in another task.

    `start` is where the task before ended; `until`, in Unix time, is when the scheduler begins the
    next run, which continues with what this one has not reached.
    """
    until = until or time.time() + PRUNE_EVERY
    result = retention.run(retention.SECONDS, start)
    if result.position and time.time() < until:
        prune.apply_async((result.position, until), expires=PRUNE_EVERY)
