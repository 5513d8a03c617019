"""The workload for django-webhook: fixtures, queued requests, and rows at a steady rate."""

from __future__ import annotations

import time

import django

from benchmarks.django_webhook.celery_app import app
from benchmarks.processes import serve


def fixtures(handler: str, count: int) -> None:
    """Create webhooks in an empty database: `count` for Order, one for Paced."""
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0, interactive=False)
    from django_webhook.models import (
        Webhook,
        WebhookSecret,
        WebhookTopic,
        populate_topics_from_settings,
    )

    populate_topics_from_settings()
    for n in range(count + 1):
        paced = n == count
        hook = Webhook.objects.create(url=f"{handler}/{'paced' if paced else 'drain'}/{n}")
        WebhookSecret.objects.create(webhook=hook, token="JWT-secret-of-thirty-two-bytes-or-more")
        name = "orders.Paced/create" if paced else "orders.Order/create"
        hook.topics.add(WebhookTopic.objects.get(name=name))


def fill(each: int) -> None:
    """Queue `each` requests of each webhook in the broker."""
    from benchmarks.django_webhook.models import Order

    for _ in range(each):
        Order.objects.create(data={"environment": "benchmark"})


def pending() -> int:
    """Return the number of unfinished requests."""
    from django_webhook.models import WebhookEvent

    return WebhookEvent.objects.filter(status="PENDING").count()


def commit(rate: int, seconds: int) -> dict[str, list[float]]:
    """Save rows at a fixed rate and return their commit times."""
    from benchmarks.django_webhook.apps import committed
    from benchmarks.django_webhook.models import Paced

    committed.clear()
    start = time.monotonic()
    for n in range(rate * seconds):
        time.sleep(max(0.0, start + n / rate - time.monotonic()))
        Paced.objects.create(data={"environment": "benchmark"})
    return {"": list(committed)}


if __name__ == "__main__":
    app.set_default()
    django.setup()
    serve({"fixtures": fixtures, "fill": fill, "pending": pending, "commit": commit})
