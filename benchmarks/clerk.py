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
HEALTHY = 100
_HANGING = DRAIN + 1
_PLANNED = "2100-01-01T00:00:00+00:00"


def fixtures(handler: str) -> None:
    """Make an empty database into one with webhooks: 99 of one product, one that hangs, and
    eight products with one each."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    from requests_queue.queues.fulfillment import creation
    from tests import make

    made = make.world("1")
    for n in range(1, DRAIN + 1):
        make.webhook(made, f"{handler}/drain/{n}", n, data={"environment": "benchmark", "n": n})
    make.webhook(made, f"{handler}/hang", _HANGING)
    for n in range(PACED):
        made = make.world(str(n + 2))
        make.webhook(made, f"{handler}/paced/{n}", 200 + n, data={"environment": "benchmark"})
        creation.create(make.purchase(made), made.as_distributor)


def fill(each: int, hanging: bool) -> None:
    """Let `each` deliveries of each webhook wait, all visible at one commit."""
    from django.db import transaction

    from requests_queue import clock
    from requests_queue.transitions import Change
    from webhooks.delivery import fan_out
    from webhooks.models import Webhook

    Webhook.objects.filter(external_url__endswith="/hang").update(active=hanging)
    first = Webhook.objects.earliest("pk")
    with transaction.atomic():
        for n in range(each):
            change = Change(
                "fulfillment_request", f"PR-0000-0000-{n:04d}-001", first.product_id,
                (first.account_id,), "draft", "pending", clock.now(),
            )  # fmt: skip
            fan_out.record(change)


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
    from webhooks.delivery import calls, claims
    from webhooks.models import Webhook

    ids = set(Webhook.objects.filter(external_url__contains="/drain/").values_list("pk", flat=True))
    claimed_rows = [
        calls.Claimed(0, uuid.uuid4(), 1, False, clock.now(), row)
        for row in claims.load(ids).values()
    ]
    sent = [calls.prepare(claimed).call for claimed in claimed_rows]
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


def fixtures_of_hanging(handler: str, groups: list[int]) -> int:
    """Make an empty database into one with 100 webhooks that respond, each of a product of its own,
    and groups of webhooks that hang, each of a product; return SIM_CALLS."""
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    from requests_queue.catalog.models import Product
    from tests import make
    from webhooks.models import Webhook

    made = make.world("1")
    numbers = iter(range(1, 1_000_000))

    def product(name: str) -> Product:
        return Product.objects.create(
            id=f"PRD-{name}", name=name, owner=made.vendor, created=make.AT, updated=make.AT
        )

    def hook(of: Product, url: str) -> Webhook:
        n = next(numbers)
        return Webhook(
            id=f"WH-000-{n // 1000:03d}-{n % 1000:03d}", label=f"Hook {n}", product=of,
            account=made.vendor, object_class="fulfillment_request", external_url=url,
            jwt_secret=f"JWT-secret-of-thirty-two-bytes-or-more-{n}", created_at=make.AT,
        )  # fmt: skip

    for n in range(HEALTHY):
        hook(product(f"healthy-{n}"), f"{handler}/healthy/{n}").save()
    for group, count in enumerate(groups):
        of = product(f"hanging-{group}")
        Webhook.objects.bulk_create([hook(of, f"{handler}/hang") for _ in range(count)], 500)
    return int(settings.SIM_CALLS)


def hang(group: int, each: int) -> None:
    """Let `each` deliveries of each webhook of a group wait, as if it had never been called."""
    from django.db import transaction

    from webhooks.models import Webhook

    Webhook.objects.filter(product=f"PRD-hanging-{group}").update(last_success=None)
    for n in range(each):
        with transaction.atomic():
            _record(f"PRD-hanging-{group}", n)


def pace(rate: int, seconds: int) -> dict[str, list[float]]:
    """Record changes for the 100 webhooks that respond, in turn at a rate; return when each was
    committed, by the path of the webhook."""
    from django.db import transaction

    committed: dict[str, list[float]] = {}
    start = time.monotonic()
    for n in range(rate * seconds):
        time.sleep(max(0.0, start + n / rate - time.monotonic()))
        stamps = committed.setdefault(f"/healthy/{n % HEALTHY}", [])
        with transaction.atomic():
            transaction.on_commit(lambda stamps=stamps: stamps.append(time.monotonic()))
            _record(f"PRD-healthy-{n % HEALTHY}", n)
    return committed


def _record(product_id: str, n: int) -> None:
    from requests_queue import clock
    from requests_queue.transitions import Change
    from webhooks.delivery import fan_out

    pk = f"PR-0000-0000-{n:04d}-001"
    account_ids = ("VA-111-111",)
    fan_out.record(
        Change("fulfillment_request", pk, product_id, account_ids, "draft", "pending", clock.now())
    )


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
            "fixtures_of_hanging": fixtures_of_hanging,
            "hang": hang,
            "pace": pace,
        }
    )


if __name__ == "__main__":
    main()
