"""`coalesce`: at most one delivery of a webhook waits; what a failure puts back joins it."""

from __future__ import annotations

from collections.abc import Sequence

from webhooks.models import Delivery, Event


def merge_waiting(delivery_ids: Sequence[int]) -> None:
    """Merge the waiting deliveries of these ones' webhooks into the oldest of each.

    Call with the webhooks' rows locked. Events move along, so none is lost; a delivery that was
    never tried goes, one with attempts stays to be seen, as cancelled.
    """
    webhooks = Delivery.objects.filter(pk__in=delivery_ids).values("webhook")
    # Locked, so that none is claimed meanwhile; what somebody else has just locked is being
    # claimed or cancelled, and to wait for it with the webhooks locked could be a deadlock.
    waiting = (
        Delivery.objects.filter(webhook__in=webhooks, state=Delivery.WAITING, forced=False)
        .select_for_update(skip_locked=True)
        .order_by("pk")
    )
    oldest: dict[str, int] = {}
    for pk, webhook_id, attempts in waiting.values_list("pk", "webhook_id", "attempts"):
        keep = oldest.setdefault(webhook_id, pk)
        if pk == keep:
            continue
        Event.objects.filter(delivery=pk).update(delivery=keep)
        extra = Delivery.objects.filter(pk=pk, state=Delivery.WAITING)
        if attempts:
            extra.update(state=Delivery.CANCELLED)
        else:
            extra.delete()
