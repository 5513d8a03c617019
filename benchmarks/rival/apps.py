"""The app whose models django-webhook watches."""

import time
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_save

# When the rows of `Paced` were committed.
committed: list[float] = []


class RivalConfig(AppConfig):
    """The app."""

    name = "benchmarks.rival"
    label = "rival"

    def ready(self) -> None:
        """Stamp each row of `Paced`; saved outside a transaction, it is committed by then."""
        post_save.connect(_stamp, sender=self.get_model("Paced"), weak=False)


def _stamp(**kwargs: Any) -> None:
    committed.append(time.monotonic())
