"""Celery tasks of webhooks."""

from celery import shared_task

from webhooks import cleanup
from webhooks.delivery import engine, wakeup


@shared_task
def pump() -> None:
    """Wake the engine of the worker process that runs this task."""
    wakeup.report(wakeup.MESSAGE)
    engine.wake()


@shared_task
def remove_deleted() -> None:
    """Remove rows of deleted webhooks, for a few seconds."""
    cleanup.remove_deleted()
