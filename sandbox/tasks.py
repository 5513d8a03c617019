"""Celery tasks of the sandbox."""

from celery import shared_task

from sandbox import stored_calls, timeline


@shared_task
def prune() -> None:
    """Remove API calls and entries of the timeline that are older than SIM_KEEP_DAYS."""
    stored_calls.prune()
    timeline.prune()
