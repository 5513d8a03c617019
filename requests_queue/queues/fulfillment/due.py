"""Scheduled work of fulfillment requests: release at the planned date, delete stale drafts."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Min

from requests_queue import jobs
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Asset
from requests_queue.errors import Refused
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment.models import Request
from requests_queue.signals import collect_next_due, due_reached

logger = logging.getLogger(__name__)


@due_reached.connect
def run(now: datetime, **kwargs: Any) -> None:
    """Make scheduled requests pending at their planned date, and delete stale drafts."""
    planned = Request.objects.filter(status="scheduled", planned_date__lte=now)
    until = now - timedelta(days=settings.SIM_DRAFT_DAYS)
    stale = Request.objects.filter(status="draft", updated__lt=until)
    try:
        jobs.run_each(
            list(planned.order_by("planned_date", "pk").values_list("pk", flat=True)), _release
        )
    finally:
        jobs.run_each(list(stale.values_list("pk", flat=True)), _delete_draft)


def _release(pk: str) -> None:
    try:
        transitions.move(Request, pk, "pend", Actor())
    except Refused as refused:
        logger.info("%s was not released at its planned date: %s", pk, refused)


@collect_next_due.connect
def next_due(now: datetime, **kwargs: Any) -> datetime | None:
    """Return the next planned date."""
    rows = Request.objects.filter(status="scheduled", planned_date__gt=now)
    result: datetime | None = rows.aggregate(at=Min("planned_date"))["at"]
    return result


@transaction.atomic
def _delete_draft(pk: str) -> None:
    row = Request.objects.select_for_update().filter(pk=pk, status="draft").first()
    if row is None:
        return
    transitions.delete(row)
    # The asset of a draft purchase exists only for the draft.
    Asset.objects.filter(pk=row.asset_id, status="draft", requests=None).delete()
