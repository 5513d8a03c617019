"""The Django app of the simulated platform."""

from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class RequestsQueueConfig(AppConfig):
    """The platform: catalog, queues, clock."""

    name = "requests_queue"
    verbose_name = "Platform"

    def ready(self) -> None:
        """Register the SQL function of `wildcards` on each SQLite connection."""
        connection_created.connect(_add_functions)


def _add_functions(connection: Any, **kwargs: Any) -> None:
    if connection.vendor == "sqlite":
        from requests_queue.api import wildcards

        connection.connection.create_function(
            wildcards.LOWER, 1, wildcards.lower, deterministic=True
        )
