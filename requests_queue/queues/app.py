"""The Django app of a queue: found by its folder, registered by its declaration."""

from importlib import import_module
from importlib.util import find_spec

from django.apps import AppConfig

# Optional modules of a queue with signal receivers, which connect on import.
LISTENERS = ("due", "receivers")


class QueueApp(AppConfig):
    """A queue's app; a subclass has `name` and `verbose_name`.

    Import the module, not the class: with two AppConfigs in an `apps` module Django uses none.
    """

    def ready(self) -> None:
        """Register `rules.QUEUE`, and connect its receivers."""
        from requests_queue.queues import base

        base.register(import_module(f"{self.name}.rules").QUEUE)
        for module in LISTENERS:
            if find_spec(f"{self.name}.{module}"):
                import_module(f"{self.name}.{module}")
