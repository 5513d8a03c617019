"""Scheduled work of tier configuration requests: delete stale drafts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from requests_queue import jobs
from requests_queue.queues import transitions
from requests_queue.queues.tier_config import setup
from requests_queue.queues.tier_config.models import TierConfig, TierConfigRequest
from requests_queue.signals import due_reached


@due_reached.connect
def run(now: datetime, **kwargs: Any) -> None:
    """Delete drafts that have not changed for SIM_DRAFT_DAYS."""
    until = now - timedelta(days=settings.SIM_DRAFT_DAYS)
    stale = TierConfigRequest.objects.filter(status="draft", updated__lt=until)
    jobs.run_each(list(stale.values_list("pk", flat=True)), _delete_draft)


@transaction.atomic
def _delete_draft(pk: str) -> None:
    row = TierConfigRequest.objects.select_for_update().filter(pk=pk, status="draft").first()
    if row is None:
        return
    config = row.configuration
    setup.lock_with_parent(config)
    transitions.delete(row)
    # Delete configurations that existed only for the draft.
    unused = TierConfig.objects.filter(requests=None, activated=None, children=None)
    unused.filter(pk=config.pk).delete()
    unused.filter(pk=config.parent_id).delete()
