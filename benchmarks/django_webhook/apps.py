"""The app whose models django-webhook watches."""

import time
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_save

# Commit times of the rows of `Paced`.
committed: list[float] = []


class OrdersConfig(AppConfig):
    """The app of the benchmark models."""

    name = "benchmarks.django_webhook"
    label = "orders"

    def ready(self) -> None:
        """Record the time of each row of `Paced`; in autocommit mode it is committed by then."""
        post_save.connect(_record_time, sender=self.get_model("Paced"), weak=False)


def _record_time(**kwargs: Any) -> None:
    committed.append(time.monotonic())
