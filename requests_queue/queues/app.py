"""The Django app that a queue is: found by its folder, registered by its declaration."""

from importlib import import_module
from importlib.util import find_spec

from django.apps import AppConfig

# Modules of a queue that listen to signals, where it has any: they connect when imported.
LISTENERS = ("due", "receivers")


class QueueApp(AppConfig):
    """A queue's app; a subclass has `name`, `label` and `verbose_name`.

    Import the module, not the class: of two configurations in an `apps` module Django takes none.
    """

    def ready(self) -> None:
        """Register `rules.QUEUE`, and connect what listens."""
        from requests_queue.queues import base

        base.register(import_module(f"{self.name}.rules").QUEUE)
        for module in LISTENERS:
            if find_spec(f"{self.name}.{module}"):
                import_module(f"{self.name}.{module}")
