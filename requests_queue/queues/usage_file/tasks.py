"""Celery tasks of usage files."""

from celery import shared_task

from requests_queue.queues.usage_file import processing


@shared_task
def process(pk: str) -> None:
    processing.run(pk)
