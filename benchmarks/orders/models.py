"""Models whose payload is about as long as Connect's, and the workload of django-webhook."""

import time

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

from benchmarks.served import at_rate

# As Connect's payload has them.
_DATA = {
    "webhook_name": "Hook 1",
    "object_class": "fulfillment_requests",
    "account_id": "VA-111-111",
    "product_id": "PRD-111-111-111",
    "api_url": "http://127.0.0.1:8000/public/v1",
    "data": {"environment": "benchmark"},
}


class Order(models.Model):
    """A row that triggers all 99 webhooks."""

    data = models.JSONField(default=_DATA.copy)

    def __str__(self) -> str:
        return str(self.pk)


class Paced(Order):
    """A row that triggers one webhook."""

    class Meta:
        proxy = True


# Commit times of the rows of `Paced`: in autocommit mode the signal follows the commit.
committed: list[float] = []
# Before django-webhook's receiver, which sends the task.
post_save.connect(lambda **arguments: committed.append(time.monotonic()), sender=Paced, weak=False)


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
        Order.objects.create()


def pending() -> int:
    return WebhookEvent.objects.filter(status="PENDING").count()


def commit(rate: int, seconds: int) -> dict[str, list[float]]:
    """Save rows at a fixed rate and return their commit times."""
    committed.clear()
    for _ in at_rate(rate, rate * seconds):
        Paced.objects.create()
    return {"/paced": list(committed)}
