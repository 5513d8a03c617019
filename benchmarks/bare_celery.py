"""A Celery application without tasks, of which B10 measures a worker."""

from celery import Celery

app = Celery("bare")
