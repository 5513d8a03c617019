"""Recovery of usage files whose task or worker was lost: their task is published again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from requests_queue import jobs
from requests_queue.queues.usage_file import leases, publishing
from requests_queue.signals import collect_busy, due_reached


@due_reached.connect
def run(now: datetime, **kwargs: Any) -> None:
    """Publish the task of each file whose lease has run out."""
    jobs.run_each(leases.take_expired(), publishing.publish)


@collect_busy.connect
def busy(now: datetime, **kwargs: Any) -> set[str]:
    """Return the files in processing, after publishing the tasks that are due."""
    run(now)
    return {f"processing:{pk}" for pk in leases.in_progress()}
