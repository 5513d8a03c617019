"""What the platform itself does when it is due; asked by the scheduler every few seconds."""

from celery import shared_task

from requests_queue import clock, jobs, pulses


@shared_task
def run_due() -> None:
    """Let each queue do what is due by the platform's clock."""
    pulses.leave(pulses.SCHEDULER)
    jobs.run_due(clock.now())
