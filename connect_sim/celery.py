"""The Celery application; tasks are found in the `tasks` module of each room."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_shutdown
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")

app = Celery("connect_sim")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    lambda: [n for n in settings.INSTALLED_APPS if n.startswith(("webhooks", "requests_queue"))]
)


@worker_init.connect
def start_engine(**kwargs: Any) -> None:
    """Start the delivery engine before the broker answers: it needs none."""
    from webhooks import engine

    try:
        engine.start()
    except Exception as error:
        # Celery would log any other exception of a signal, and run without an engine.
        raise SystemExit(f"The worker cannot start. {error}") from error


@worker_shutdown.connect
def stop_engine(**kwargs: Any) -> None:
    """Stop the engine with its worker."""
    from webhooks import engine

    engine.stop()
