"""What happens to tier configuration requests by themselves: stale drafts go."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.dispatch import receiver

from requests_queue import jobs, transitions
from requests_queue.queues.tier_config import setup
from requests_queue.queues.tier_config.models import TierConfig, TierConfigRequest
from requests_queue.signals import due_reached


@receiver(due_reached)
def run(now: datetime, **kwargs: Any) -> None:
    """Delete drafts that nobody has touched for long."""
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
    # A configuration that was never asked for has been no more than its draft.
    unused = TierConfig.objects.filter(requests=None, activated=None, children=None)
    unused.filter(pk=config.pk).delete()
    unused.filter(pk=config.parent_id).delete()
