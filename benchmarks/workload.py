"""The workload: fixtures, pending deliveries, and queue changes at a steady rate.

In the embedded set-up changes are made in the measured process, otherwise in one of its own.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

DRAIN = 99
PACED = 8
HEALTHY = 100
# Webhooks that hang: 100 with ten requests each, and 4,000 with one each.
GROUPS = (100, 4000)
EACH = (10, 1)


def fixtures(handler: str, count: int = DRAIN, path: str = "drain") -> int:
    """Create webhooks in an empty database: `count` of one product, one whose handler hangs, and
    one for each of eight more products; return SIM_CALLS."""
    from benchmarks.calls import migrate
    from requests_queue.queues.fulfillment import creation
    from tests import make

    slots = migrate()
    catalog = make.catalog("1")
    data = {"environment": "benchmark"}
    for n in range(1, count + 1):
        make.webhook(catalog, f"{handler}/{path}/{n}", n, data={**data, "n": n})
    make.webhook(catalog, f"{handler}/hang", count + 1, active=False)
    for n in range(PACED):
        catalog = make.catalog(str(n + 2))
        make.webhook(catalog, f"{handler}/paced/{n}", count + 2 + n, data=data)
        creation.create(make.purchase(catalog), catalog.as_distributor)
    return slots


def hanging_fixtures(handler: str, groups: int) -> int:
    """Create 100 webhooks that respond, each with its own product, and groups of webhooks that
    hang, one product a group, in an empty database; return SIM_CALLS."""
    from django.db import transaction

    from benchmarks.calls import analyze, migrate
    from requests_queue.catalog.models import Product
    from tests import make

    slots = migrate()
    catalog = make.catalog("1")
    kinds = [(f"healthy-{n}", f"healthy/{n}", 1) for n in range(HEALTHY)]
    kinds += [(f"hanging-{n}", "hang", count) for n, count in enumerate(GROUPS[:groups])]
    made = 0
    with transaction.atomic():
        for name, path, count in kinds:
            catalog.product = Product.objects.create(
                id=f"PRD-{name}", name=name, owner=catalog.vendor, created=make.AT, updated=make.AT
            )
            for _ in range(count):
                made += 1
                make.webhook(catalog, f"{handler}/{path}", made)
    analyze()
    return slots


def fill(each: int, hanging: bool) -> None:
    """Create `each` pending deliveries of each webhook, all visible at one commit."""
    from django.db import transaction

    from webhooks.models import Webhook

    Webhook.objects.filter(external_url__endswith="/hang").update(active=hanging)
    first = Webhook.objects.earliest("pk")
    with transaction.atomic():
        for n in range(each):
            _record(first.product_id, first.account_id, n)


def old(each: int) -> None:
    """Insert `each` finished deliveries of each webhook that retention removes."""
    from tests import old_deliveries
    from webhooks.models import Webhook

    old_deliveries.fill(list(Webhook.objects.filter(external_url__contains="/drain/")), each)


_position: list[Any] = [None]


def prune() -> int:
    """Run retention for half a second, as the scheduler does; return the deleted deliveries."""
    from requests_queue import retention

    run = retention.run(0.5, _position[0])
    _position[0] = run.position
    return run.removed["deliveries"]


def left() -> int:
    """Return how many deliveries are left for retention."""
    from tests import make
    from webhooks.models import Delivery

    return Delivery.objects.filter(created_at__lt=make.AT - timedelta(days=200)).count()


def move_clock(seconds: float) -> None:
    """Move platform time forward; an engine notices within a second."""
    from tests import engines

    engines.move_clock(seconds)


def backoff() -> float:
    """Return the seconds until the last backoff ends; 0 unless all webhooks of the drain have one,
    and nothing is in flight."""
    from requests_queue import clock
    from webhooks.models import Delivery, Webhook

    rows = Webhook.objects.filter(earliest_possible_trigger__gt=clock.now())
    ends = list(rows.values_list("earliest_possible_trigger", flat=True))
    if len(ends) != DRAIN or Delivery.objects.filter(state=Delivery.CALLING).exists():
        return 0.0
    return (max(ends) - clock.now()).total_seconds()


def unfinished(hanging: bool) -> int:
    """Return the number of unfinished deliveries of webhooks that hang, or that respond."""
    from django.db.models import Q

    from webhooks.models import Delivery

    rows = Delivery.objects.filter(state__in=(Delivery.WAITING, Delivery.CALLING))
    hang = Q(webhook__external_url__endswith="/hang")
    return rows.filter(hang if hanging else ~hang).count()


def posts() -> list[dict[str, Any]]:
    """Return one signed request for each of the 99 webhooks, for the baseline."""
    from requests_queue import clock
    from webhooks.delivery import in_flight, taking
    from webhooks.delivery.claimed import ClaimedDelivery
    from webhooks.models import Webhook

    ids = set(Webhook.objects.filter(external_url__contains="/drain/").values_list("pk", flat=True))
    sent = [
        in_flight.prepare(ClaimedDelivery(0, uuid.uuid4(), 1, False, clock.now(), row)).request
        for row in taking.load_webhooks(ids).values()
    ]
    return [
        {"url": c.url, "headers": dict(c.headers), "body": (c.body or b"").decode()} for c in sent
    ]


def commit(rate: int, seconds: int) -> dict[str, list[float]]:
    """Change the status of requests of the eight products in turn, at a fixed rate; return the
    commit time of each change, by the path of the webhook that it triggers."""
    from requests_queue import transitions
    from requests_queue.catalog.actors import Actor
    from requests_queue.queues.fulfillment.models import Request
    from webhooks.models import Webhook

    hooks = [Webhook.objects.get(external_url__endswith=f"/paced/{n}") for n in range(PACED)]
    rows = [Request.objects.get(asset__product=hook.product_id) for hook in hooks]

    def change(n: int) -> None:
        hook, row = hooks[n % PACED], rows[n % PACED]
        name = "schedule" if row.status == "pending" else "pend"
        body = {"planned_date": "2100-01-01T00:00:00+00:00"}
        actor = Actor(hook.created_by, hook.account)
        rows[n % PACED] = transitions.move(Request, row.pk, name, actor, body)

    return _pace(rate, seconds, [f"/paced/{n}" for n in range(PACED)], change)


def pace(rate: int, seconds: int) -> dict[str, list[float]]:
    """Record changes for the 100 webhooks that respond, in turn at a fixed rate; return their
    commit times by the path of the webhook."""

    def change(n: int) -> None:
        _record(f"PRD-healthy-{n % HEALTHY}", "VA-111-111", n)

    return _pace(rate, seconds, [f"/healthy/{n}" for n in range(HEALTHY)], change)


def _pace(
    rate: int, seconds: int, paths: list[str], change: Callable[[int], None]
) -> dict[str, list[float]]:
    from django.db import transaction

    committed: dict[str, list[float]] = {}
    start = time.monotonic()
    for n in range(rate * seconds):
        time.sleep(max(0.0, start + n / rate - time.monotonic()))
        times = committed.setdefault(paths[n % len(paths)], [])
        with transaction.atomic():
            # Registered first, so that it runs right after COMMIT, before the wake-up.
            transaction.on_commit(lambda times=times: times.append(time.monotonic()))
            change(n)
    return committed


def hang(group: int) -> None:
    """Create pending deliveries of each webhook of a group that has never succeeded."""
    from django.db import transaction

    from webhooks.models import Webhook

    Webhook.objects.filter(product=f"PRD-hanging-{group}").update(responds=False)
    for n in range(EACH[group]):
        with transaction.atomic():
            _record(f"PRD-hanging-{group}", "VA-111-111", n)


def _record(product_id: str, account_id: str, n: int) -> None:
    from requests_queue import clock
    from requests_queue.transitions import Change
    from webhooks.delivery import fan_out

    pk, accounts = f"PR-0000-0000-{n:04d}-001", (account_id,)
    fan_out.record(
        Change("fulfillment_request", pk, product_id, accounts, "draft", "pending", clock.now())
    )
