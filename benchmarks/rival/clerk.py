"""The commands for django-webhook: fixtures, posts that wait, and rows at a steady rate."""

from __future__ import annotations

import time

import django

from benchmarks.pipes import serve
from benchmarks.rival.app import app


def fixtures(handler: str, count: int) -> None:
    """Make an empty database into one with webhooks: `count` for Order, one for Paced."""
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
        name = "rival.Paced/create" if paced else "rival.Order/create"
        hook.topics.add(WebhookTopic.objects.get(name=name))


def fill(each: int) -> None:
    """Let `each` posts of each webhook wait in the broker."""
    from benchmarks.rival.models import Order

    for _ in range(each):
        Order.objects.create(data={"environment": "benchmark"})


def left() -> int:
    """Return how many posts are not over."""
    from django_webhook.models import WebhookEvent

    return WebhookEvent.objects.filter(status="PENDING").count()


def commit(rate: int, seconds: int) -> dict[str, list[float]]:
    """Save rows at a rate and return when each was committed."""
    from benchmarks.rival.apps import committed
    from benchmarks.rival.models import Paced

    committed.clear()
    start = time.monotonic()
    for n in range(rate * seconds):
        time.sleep(max(0.0, start + n / rate - time.monotonic()))
        Paced.objects.create(data={"environment": "benchmark"})
    return {"": list(committed)}


if __name__ == "__main__":
    app.set_default()
    django.setup()
    serve({"fixtures": fixtures, "fill": fill, "left": left, "commit": commit})
