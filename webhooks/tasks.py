"""The Celery tasks of the emitter; a few lines each, the work is elsewhere."""

from celery import shared_task

from webhooks import cleanup
from webhooks.delivery import engine, wakeup


@shared_task
def pump() -> None:
    """Wake the engine of the worker process that this lands on."""
    wakeup.clear()
    engine.wake()


@shared_task
def prune() -> None:
    """Remove what is older than SIM_KEEP_DAYS."""
    cleanup.prune()


@shared_task
def remove_deleted() -> None:
    """Remove rows of deleted webhooks, for a few seconds."""
    cleanup.remove_deleted()
