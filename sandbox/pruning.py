"""Retention of API calls and of the timeline, by real time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.db.models import Q

from requests_queue import retention
from requests_queue.retention import ByAge
from sandbox import timeline
from sandbox.models import ApiCall, TimelineEntry
from webhooks import pruning

API_CALLS = "API calls"


def register() -> None:
    """Register both, and remove the API calls that belong to pruned deliveries."""
    retention.KINDS.extend(
        [
            ByAge(API_CALLS, ApiCall, "real_started_at", days=lambda: settings.SIM_KEEP_DAYS),
            ByAge(
                "timeline entries",
                TimelineEntry,
                "real_at",
                days=lambda: settings.SIM_KEEP_DAYS,
                newest=lambda: timeline.KEEP,
            ),
        ]
    )
    pruning.DEPENDENTS.append(remove_calls)


def remove_calls(delivery_ids: Sequence[int], dry_run: bool) -> Mapping[str, int]:
    """Remove the API calls that belong to attempts of deliveries, with their bodies."""
    calls = ApiCall.objects.filter(delivery_id__in=delivery_ids)
    if dry_run:
        # Those that are old are counted by their age.
        oldest = retention.before(settings.SIM_KEEP_DAYS)
        return {API_CALLS: calls.filter(Q(real_started_at__gte=oldest) if oldest else Q()).count()}
    _, counts = calls.only("pk").delete()
    return {API_CALLS: counts.get(ApiCall._meta.label, 0)}
