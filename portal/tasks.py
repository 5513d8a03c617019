"""Celery tasks of the portal."""

from celery import shared_task

from portal.deliveries import bulk


@shared_task
def resend_deliveries() -> None:
    """Continue to send many deliveries again, for a few seconds."""
    bulk.run()
