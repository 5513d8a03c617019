"""What the platform itself does when it is due; asked by the scheduler every few seconds."""

from celery import shared_task

from requests_queue import clock, heartbeats, jobs


@shared_task
def run_due() -> None:
    """Let each queue do what is due by the platform's clock."""
    heartbeats.record(heartbeats.SCHEDULER)
    jobs.run_due_jobs(clock.now())
