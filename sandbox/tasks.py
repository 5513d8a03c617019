"""Celery tasks of the sandbox."""

from celery import shared_task

from sandbox import handler_activity, timeline


@shared_task
def prune() -> None:
    """Remove API calls and entries of the timeline that are older than SIM_KEEP_DAYS."""
    handler_activity.prune()
    timeline.prune()
