"""Remove what is old, and keep what it counted as sums, so that the counters can be checked."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q

from requests_queue import clock, database_limits
from webhooks.models import Attempt, ClearedBackoff, Delivery, Event, Webhook

_BATCH = 500


def prune() -> int:
    """Remove deliveries that ended SIM_KEEP_DAYS ago, with their events and attempts.

    The attempts that a webhook points to as its last success and failure stay, with their
    delivery. Returns how many deliveries went.
    """
    before = clock.now() - timedelta(days=settings.SIM_KEEP_DAYS)
    succeeded = Webhook.objects.filter(last_success__isnull=False).values("last_success__delivery")
    failed = Webhook.objects.filter(last_failure__isnull=False).values("last_failure__delivery")
    old = (
        Delivery.objects.filter(created_at__lt=before)
        .exclude(state__in=(Delivery.WAITING, Delivery.CALLING))
        .exclude(attempt_set__finished_at__gte=before)
        .exclude(pk__in=succeeded)
        .exclude(pk__in=failed)
        .order_by("pk")
    )
    removed = 0
    # What is old is found by reading the table, which may be large.
    with database_limits.lifted():
        while ids := list(old.values_list("pk", flat=True)[:_BATCH]):
            _remove(ids)
            removed += len(ids)
        _remove_cleared(before)
    return removed


def _remove_cleared(before: datetime) -> None:
    """Remove the records of ended backoffs that explain no attempt that is still stored."""
    explained = Attempt.objects.filter(
        webhook=OuterRef("webhook"),
        finished_at__lte=OuterRef("at"),
        finished_at__gte=OuterRef("began_at"),
    )
    old = ClearedBackoff.objects.filter(~Exists(explained), at__lt=before)
    while ids := list(old.order_by("pk").values_list("pk", flat=True)[:_BATCH]):
        ClearedBackoff.objects.filter(pk__in=ids).delete()


@transaction.atomic
def _remove(ids: list[int]) -> None:
    rows = list(Delivery.objects.filter(pk__in=ids).select_for_update().order_by("pk"))
    touched = sorted({row.webhook_id for row in rows})
    list(Webhook.objects.filter(pk__in=touched).select_for_update().order_by("pk"))
    attempts = Attempt.objects.filter(delivery__in=ids)
    sums = attempts.values("webhook").annotate(
        s=Count("pk", filter=Q(outcome=Attempt.SUCCESS)),
        f=Count("pk", filter=Q(outcome=Attempt.FAILURE)),
        u=Count("pk", filter=Q(outcome=Attempt.UNKNOWN)),
    )
    for row in sums.order_by():
        Webhook.objects.filter(pk=row["webhook"]).update(
            pruned_successes=F("pruned_successes") + row["s"],
            pruned_failures=F("pruned_failures") + row["f"],
            pruned_unknown=F("pruned_unknown") + row["u"],
        )
    events = Event.objects.filter(delivery__in=ids)
    for webhook_id, n in events.order_by().values_list("webhook").annotate(n=Count("pk")):
        Webhook.objects.filter(pk=webhook_id).update(pruned_events=F("pruned_events") + n)
    events.delete()
    attempts.delete()
    Delivery.objects.filter(pk__in=ids).delete()
