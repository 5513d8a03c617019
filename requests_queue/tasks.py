"""The Celery task of scheduled jobs, sent by the scheduler every few seconds."""

from celery import shared_task

from requests_queue import clock, heartbeats, jobs, pausing


@shared_task
def run_due() -> None:
    """Run the jobs that are due by platform time."""
    with pausing.running():
        heartbeats.record(heartbeats.SCHEDULER)
        jobs.run_due_jobs(clock.now())
