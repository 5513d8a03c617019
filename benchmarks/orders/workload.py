"""The workload for django-webhook: fixtures, queued requests, and rows at a steady rate."""

from __future__ import annotations

import time

from benchmarks.orders import app

app.set_default()


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
    for path, topic in (
        *((f"drain/{n}", "orders.Order/create") for n in range(count)),
        ("paced", "orders.Paced/create"),
    ):
        hook = Webhook.objects.create(url=f"{handler}/{path}")
        WebhookSecret.objects.create(webhook=hook, token="JWT-secret-of-thirty-two-bytes-or-more")
        hook.topics.add(WebhookTopic.objects.get(name=topic))


def fill(each: int) -> None:
    """Queue `each` requests of each webhook in the broker."""
    from benchmarks.orders.models import Order

    for _ in range(each):
        Order.objects.create(data={"environment": "benchmark"})


def pending() -> int:
    """Return the number of unfinished requests."""
    from django_webhook.models import WebhookEvent

    return WebhookEvent.objects.filter(status="PENDING").count()


def commit(rate: int, seconds: int) -> dict[str, list[float]]:
    """Save rows at a fixed rate and return their commit times."""
    from benchmarks.orders.models import Paced, committed

    committed.clear()
    start = time.monotonic()
    for n in range(rate * seconds):
        time.sleep(max(0.0, start + n / rate - time.monotonic()))
        Paced.objects.create(data={"environment": "benchmark"})
    return {"/paced": list(committed)}
