"""What happens to usage files by themselves: one whose task or worker got lost is told of again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from requests_queue import jobs
from requests_queue.queues.usage_file import leases, publishing
from requests_queue.signals import collect_busy, due_reached


@receiver(due_reached)
def run(now: datetime, **kwargs: Any) -> None:
    """Publish the task of each file whose lease has run out."""
    jobs.run_each(leases.lost(), publishing.send)


@receiver(collect_busy)
def unsettled(now: datetime, **kwargs: Any) -> set[str]:
    """Say which files are being processed, and see that it goes on."""
    run(now)
    return {f"processing:{pk}" for pk in leases.under_way()}
