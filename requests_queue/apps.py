"""The room of the queues; knows no listener of its signals."""

from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class RequestsQueueConfig(AppConfig):
    """Connect's platform under the webhooks."""

    name = "requests_queue"
    verbose_name = "Platform"

    def ready(self) -> None:
        """Give each SQLite connection the function that `wildcards` calls."""
        connection_created.connect(_add_functions)


def _add_functions(connection: Any, **kwargs: Any) -> None:
    if connection.vendor == "sqlite":
        from requests_queue import wildcards

        connection.connection.create_function(
            wildcards.LOWER, 1, wildcards.lower, deterministic=True
        )
