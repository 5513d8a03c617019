"""The present, as conditions of waits need it: read once for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Model

from requests_queue import jobs
from requests_queue.catalog.models import Asset
from requests_queue.queues import base
from sandbox import settling, timeline
from sandbox.conditions import Needs, Present
from webhooks.models import Webhook


def read(needs: Needs, now: datetime) -> Present:
    """Return what the conditions need of the present."""
    webhooks = Webhook.objects.filter(pk__in=needs.webhooks) if needs.webhooks else ()
    return Present(
        _statuses(needs.objects),
        {row.pk: row.out_of_order and row.active for row in webhooks},
        is_idle(now) if needs.idle else None,
    )


def is_idle(now: datetime) -> bool:
    """Return whether the sandbox is settled, and no work is left for later."""
    before = timeline.last_id()
    if settling.waiting_for(now, first=True) or jobs.next_work(now) is not None:
        return False
    # A retry whose backoff ended in between may have been read neither as one for later nor as one
    # in flight, but its attempt has begun with an entry.
    return timeline.last_id() == before


def unsettled(now: datetime) -> list[dict[str, str]]:
    """Return what has to happen before the sandbox is settled."""
    return [{"kind": each.kind, "text": each.text} for each in settling.waiting_for(now)]


def represent(state: Present) -> dict[str, Any]:
    """Return the present as JSON."""
    return {
        "statuses": dict(state.statuses),
        "out_of_order": dict(state.out_of_order),
        "idle": state.idle,
    }


def _statuses(ids: Iterable[str]) -> dict[str, str | None]:
    """Return the statuses of requests and subscriptions; None: no such object."""
    missing = set(ids)
    found: dict[str, str | None] = {}
    models: list[type[Model]] = [*(queue.model for queue in base.registered()), Asset]
    for model in models:
        if not missing:
            break
        rows = model._default_manager.filter(pk__in=missing).values_list("pk", "status")
        found |= dict(rows)
        missing -= found.keys()
    return found | dict.fromkeys(missing)
