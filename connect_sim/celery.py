"""The Celery application; tasks are discovered in the `tasks` modules of the apps."""

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import beat_init, celeryd_init, setup_logging, worker_init, worker_shutdown
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from connect_sim import logs
from connect_sim.installation import StartError

# A handler may be a Django project too, and have set its own.
os.environ["DJANGO_SETTINGS_MODULE"] = "connect_sim.settings"

if "celery" in Path(sys.argv[0]).parts[-2:]:
    # Celery would print a traceback for invalid settings.
    try:
        settings.DEBUG  # noqa: B018  (reads the settings)
    except ImproperlyConfigured as error:
        raise StartError(error) from None

# Celery would run all of Django's checks, ignore their errors, and keep in memory what they import
# (URLs, views, templates): 12 MiB in each worker. `check_start` runs those that a start needs.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

_WITH_TASKS = ("sandbox", "portal", "webhooks", "requests_queue")

# Celery's support of Django puts the current folder first, where a handler may have modules of any
# name.
_path = list(sys.path)
app = Celery("connect_sim")
sys.path[:] = _path
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(lambda: [n for n in settings.INSTALLED_APPS if n.startswith(_WITH_TASKS)])


@setup_logging.connect
def keep_logging(loglevel: int, **kwargs: Any) -> None:
    """Keep Django's LOGGING; the option --loglevel can add messages, but hide none."""
    root = logging.getLogger()
    root.setLevel(min(loglevel, root.level))
    if settings.SIM_LOG_FORMAT == logs.JSON:
        from celery.apps import worker

        # Celery prints a line of text at a stop, past the loggers.
        worker.safe_say = lambda *arguments: None  # type: ignore[attr-defined]


@celeryd_init.connect
@beat_init.connect
def check_start(**kwargs: Any) -> None:
    """End the process if settings are invalid, or if a sandbox uses the same data.

    Celery ignores errors of the checks. StartError passes through its signals; an exception that
    isn't a SystemExit would only be logged.
    """
    from connect_sim import checks, data_lock

    checks.require_valid_settings()
    data_lock.hold(exclusive=False)


@celeryd_init.connect
def check_migrations(**kwargs: Any) -> None:
    """End a worker whose database was created by another version, or is deleted later."""
    from django.db import Error, connection

    from connect_sim import checks, data_lock

    # The engine waits for a database that is unavailable.
    with suppress(Error):
        if problem := checks.migration_problem():
            raise StartError(problem)
    connection.close()
    data_lock.watch()


@worker_init.connect
def start_engine(**kwargs: Any) -> None:
    """Start the delivery engine, which needs no broker, and the export of metrics and traces."""
    from connect_sim import tracing
    from connect_sim.metrics import exporter
    from webhooks.delivery import engine

    try:
        exporter.start()
        tracing.start()
        engine.start()
    except Exception as error:
        # Celery would log any other exception of a signal handler, and run without an engine.
        raise StartError(f"The worker cannot start. {error}") from error


@beat_init.connect
def export_metrics(**kwargs: Any) -> None:
    """Start the export of the scheduler's metrics."""
    from connect_sim.metrics import exporter

    exporter.start()


@worker_shutdown.connect
def stop_engine(**kwargs: Any) -> None:
    from connect_sim import tracing
    from webhooks.delivery import engine

    engine.stop()
    tracing.stop()
