"""Scheduled work of helpdesk cases: close what was resolved some time ago."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min

from requests_queue import jobs
from requests_queue.errors import Refused
from requests_queue.queues import transitions
from requests_queue.queues.helpdesk.models import RESOLVED, Case
from requests_queue.signals import collect_next_due, due_reached

logger = logging.getLogger(__name__)

# In Connect a setting of the account, the autoclose timeout; this is the document's example.
AUTOCLOSE = timedelta(days=30)


@due_reached.connect
def run(now: datetime, **kwargs: Any) -> None:
    """Close the cases whose time is up."""
    rows = Case.objects.filter(status=RESOLVED, resolved_at__lte=now - AUTOCLOSE)
    jobs.run_each(list(rows.order_by("resolved_at", "pk").values_list("pk", flat=True)), _close)


def _close(pk: str) -> None:
    try:
        transitions.move(Case, pk, "close", transitions.PLATFORM)
    except Refused as refused:
        logger.info("%s was not closed by the platform: %s", pk, refused)


@collect_next_due.connect
def next_due(now: datetime, **kwargs: Any) -> datetime | None:
    """Return the moment when the next case is closed."""
    rows = Case.objects.filter(status=RESOLVED, resolved_at__gt=now - AUTOCLOSE)
    resolved: datetime | None = rows.aggregate(at=Min("resolved_at"))["at"]
    return resolved and resolved + AUTOCLOSE
