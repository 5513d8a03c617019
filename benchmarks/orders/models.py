"""Models whose payload is about as long as Connect's, and the workload of django-webhook."""

import time
from typing import Any

from django.core.management import call_command
from django.db import models
from django.db.models.signals import post_save
from django_webhook.models import (
    Webhook,
    WebhookEvent,
    WebhookSecret,
    WebhookTopic,
    populate_topics_from_settings,
)


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


def fixtures(handler: str, count: int) -> None:
    """Create webhooks in an empty database: `count` for Order, one for Paced."""
    call_command("migrate", run_syncdb=True, verbosity=0, interactive=False)
    populate_topics_from_settings()
    paths = [(f"drain/{n}", "orders.Order/create") for n in range(count)]
    for path, topic in (*paths, ("paced", "orders.Paced/create")):
        hook = Webhook.objects.create(url=f"{handler}/{path}")
        WebhookSecret.objects.create(webhook=hook, token="JWT-secret-of-thirty-two-bytes-or-more")
        hook.topics.add(WebhookTopic.objects.get(name=topic))


def fill(each: int) -> None:
    """Queue `each` requests of each webhook in the broker."""
    for _ in range(each):
        Order.objects.create(data={"environment": "benchmark"})


def pending() -> int:
    return WebhookEvent.objects.filter(status="PENDING").count()


def commit(rate: int, seconds: int) -> dict[str, list[float]]:
    """Save rows at a fixed rate and return their commit times."""
    committed.clear()
    start = time.monotonic()
    for n in range(rate * seconds):
        time.sleep(max(0.0, start + n / rate - time.monotonic()))
        Paced.objects.create(data={"environment": "benchmark"})
    return {"/paced": list(committed)}
