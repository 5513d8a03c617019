"""What the platform itself does when it is due; asked by the scheduler every few seconds."""

from celery import shared_task

from requests_queue import clock, pulses
from requests_queue.signals import run_due_wanted


@shared_task
def run_due() -> None:
    """Let each queue do what is due by the platform's clock."""
    pulses.leave(pulses.SCHEDULER)
    run_due_wanted.send(sender=None, now=clock.now())
