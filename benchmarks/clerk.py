"""What is delivered: fixtures, deliveries that wait, and queue changes at a steady rate."""

from __future__ import annotations

import os
import time
import uuid
from typing import Any

import django

from benchmarks.pipes import serve

DRAIN = 99
PACED = 8
_HANGING = DRAIN + 1
_PLANNED = "2100-01-01T00:00:00+00:00"


def fixtures(handler: str) -> None:
    """Make an empty database into one with webhooks: 99 of one product, one that hangs, and
    eight products with one each."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    from requests_queue.queues.fulfillment import births
    from tests import make

    made = make.world("1")
    for n in range(1, DRAIN + 1):
        make.webhook(made, f"{handler}/drain/{n}", n, data={"environment": "benchmark", "n": n})
    make.webhook(made, f"{handler}/hang", _HANGING)
    for n in range(PACED):
        made = make.world(str(n + 2))
        make.webhook(made, f"{handler}/paced/{n}", 200 + n, data={"environment": "benchmark"})
        births.create(make.purchase(made), made.as_distributor)


def fill(each: int, hanging: bool) -> None:
    """Let `each` deliveries of each webhook wait, all visible at one commit."""
    from django.db import transaction

    from requests_queue import clock
    from requests_queue.transitions import Change
    from webhooks import events
    from webhooks.models import Webhook

    Webhook.objects.filter(external_url__endswith="/hang").update(active=hanging)
    first = Webhook.objects.earliest("pk")
    with transaction.atomic():
        for n in range(each):
            change = Change(
                "fulfillment_request", f"PR-0000-0000-{n:04d}-001", first.product_id,
                (first.account_id,), "draft", "pending", clock.now(),
            )  # fmt: skip
            events.record(change)


def left() -> int:
    """Return how many deliveries are not over, less those that hang."""
    from webhooks.models import Delivery

    rows = Delivery.objects.filter(state__in=(Delivery.WAITING, Delivery.CALLING))
    return rows.exclude(webhook__external_url__endswith="/hang").count()


def hanging() -> int:
    """Return how many deliveries of the webhook that hangs are not over."""
    from webhooks.models import Delivery

    rows = Delivery.objects.filter(state__in=(Delivery.WAITING, Delivery.CALLING))
    return rows.filter(webhook__external_url__endswith="/hang").count()


def posts() -> list[dict[str, Any]]:
    """Return one real signed call for each of the 99, for the bare loop."""
    from requests_queue import clock
    from webhooks import calls, outbox
    from webhooks.models import Webhook

    ids = set(Webhook.objects.filter(external_url__contains="/drain/").values_list("pk", flat=True))
    claims = [
        calls.Claimed(0, uuid.uuid4(), 1, False, clock.now(), row)
        for row in outbox.load(ids).values()
    ]
    sent = [calls.prepare(claimed).call for claimed in claims]
    return [
        {"url": c.url, "headers": dict(c.headers), "body": (c.body or b"").decode()} for c in sent
    ]


def commit(rate: int, seconds: int) -> dict[str, list[float]]:
    """Move requests of the eight products in turn at a rate; return when each move was committed,
    by the path of the webhook that it wakes."""
    from django.db import transaction

    from requests_queue import transitions
    from requests_queue.queues.base import Actor
    from requests_queue.queues.fulfillment.models import Request
    from webhooks.models import Webhook

    committed: dict[str, list[float]] = {}
    targets = []
    for n in range(PACED):
        hook = Webhook.objects.get(external_url__endswith=f"/paced/{n}")
        row = Request.objects.get(asset__product=hook.product_id)
        targets.append((f"/paced/{n}", row, Actor(hook.created_by, hook.account)))
    start = time.monotonic()
    for n in range(rate * seconds):
        time.sleep(max(0.0, start + n / rate - time.monotonic()))
        path, row, actor = targets[n % PACED]
        stamps = committed.setdefault(path, [])
        with transaction.atomic():
            # The first to run after COMMIT, before the wake-up is sent.
            transaction.on_commit(lambda stamps=stamps: stamps.append(time.monotonic()))
            name = "schedule" if row.status == "pending" else "pend"
            row = transitions.move(Request, row.pk, name, actor, {"planned_date": _PLANNED})
            targets[n % PACED] = (path, row, actor)
    return committed


def main() -> None:
    """Answer commands; in the embedded set-up `commit` runs in the measured process instead."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    django.setup()
    serve(
        {
            "fixtures": fixtures,
            "fill": fill,
            "left": left,
            "hanging": hanging,
            "posts": posts,
            "commit": commit,
        }
    )


if __name__ == "__main__":
    main()
