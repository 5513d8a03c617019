"""Models whose payload is about as long as Connect's."""

import time
from typing import Any

from django.db import models
from django.db.models.signals import post_save


class _Change(models.Model):
    webhook_name = models.CharField(max_length=100, default="Hook 1")
    object_class = models.CharField(max_length=40, default="fulfillment_requests")
    account_id = models.CharField(max_length=20, default="VA-111-111")
    product_id = models.CharField(max_length=20, default="PRD-111-111-111")
    api_url = models.CharField(max_length=100, default="http://127.0.0.1:8000/public/v1")
    data = models.JSONField(default=dict)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)


class Order(_Change):
    """A row that triggers all 99 webhooks."""


class Paced(_Change):
    """A row that triggers one webhook."""


# Commit times of the rows of `Paced`.
committed: list[float] = []


def _record_time(**kwargs: Any) -> None:
    """Record the time of a row; in autocommit mode it is committed by then.

    Connected with the models, so before django-webhook's receiver, which sends the task.
    """
    committed.append(time.monotonic())


post_save.connect(_record_time, sender=Paced)
