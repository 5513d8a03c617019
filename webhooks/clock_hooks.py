"""What the emitter has to do while a sandbox moves its time: asked by `sandbox.clock_control`."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from webhooks.delivery import claims, sql, wakeup
from webhooks.models import Delivery
from webhooks.types import EVENT


def next_due(now: datetime) -> datetime | None:
    """Return when the next backoff ends for which something is pending, or a request times out."""
    moments = [claims.next_due(now), *(at for _, at in _deadlines() if at and at > now)]
    return min((moment for moment in moments if moment is not None), default=None)


def unsettled(now: datetime) -> set[str]:
    """Return what is due or under way at `now`, and wake the engine for it.

    A call under way changes its label once its deadline has passed: until then a move may leave
    it hanging, after that it must end.
    """
    with transaction.atomic():
        # Nothing is claimed between the two looks, and what is due is looked at last: what a
        # call lets go as it ends can't be missed by both.
        sql.one_claim_at_a_time()
        calling = {
            f"{'overdue' if at and at <= now else 'calling'}:{call}" for call, at in _deadlines()
        }
        due = {f"due:{pk}" for pk in claims.peek(now)}
    if due or calling:
        wakeup.send()
    return due | calling


def _deadlines() -> list[tuple[str, datetime | None]]:
    """Return each call under way (its delivery and number) and when it runs out of time.

    A validator's does by real time, since somebody really waits for it: None.
    """
    timeout = timedelta(seconds=settings.SIM_HTTP_TIMEOUT)
    rows = Delivery.objects.filter(
        state=Delivery.CALLING, started_at__isnull=False, webhook__deleted_at=None
    )
    columns = ("pk", "attempts", "started_at", "webhook__type", "forced")
    return [
        (f"{pk}.{attempts + 1}", started_at + timeout if type_ == EVENT or forced else None)
        for pk, attempts, started_at, type_, forced in rows.values_list(*columns)
        if started_at is not None
    ]
