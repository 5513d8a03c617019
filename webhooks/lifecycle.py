"""What is done to a webhook: create, edit, enable, disable, recover, delete.

The API, the admin and the portal all come through here. Rows are locked in the order of the
delivery path: deliveries, then webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from requests_queue import clock, ids
from requests_queue.catalog.models import Account, User
from requests_queue.errors import Missing
from webhooks import removal, wakeup
from webhooks.models import Delivery, Webhook

# An edit of one of these means that older failures say nothing of the webhook as it now is.
CALL_FIELDS = frozenset({"external_url", "http_method", "jwt_secret", "headers", "data"})
HEALTHY: Mapping[str, Any] = {
    "earliest_possible_trigger": None,
    "gate_closed_at": None,
    "round": 0,
    "out_of_order": False,
}


def create(account: Account, user: User, fields: Mapping[str, Any]) -> Webhook:
    """Create a webhook of checked fields."""
    at = clock.shown(clock.now())
    return ids.create(
        lambda pk: Webhook(pk=pk, account=account, created_by=user, created_at=at, **fields),
        "webhook",
    )


def edit(webhook_id: str, user: User, fields: Mapping[str, Any]) -> Webhook:
    """Change a webhook by checked fields and return it.

    Disabling cancels what waits; enabling starts clean; a change of how it is called opens the
    gate; and any edit that leaves it active recovers it where it was out of order.
    Raises Missing where it has been deleted meanwhile.
    """
    with transaction.atomic():
        if fields.get("active") is False:
            cancel_waiting(webhook_id)
        row = Webhook.objects.select_for_update().filter(pk=webhook_id).first()
        if row is None:
            raise Missing(webhook_id)
        now = clock.now()
        _apply(row, _changes(row, fields, now), user, now)
        if row.active:
            wakeup.after_commit()
    return row


def _changes(row: Webhook, fields: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    changes = {k: v for k, v in fields.items() if getattr(row, k) != v}
    if CALL_FIELDS & changes.keys():
        changes |= {**HEALTHY, "revision": row.revision + 1}
    if row.out_of_order and row.active:
        # After the former: one goes first here, however the webhook was mended.
        changes |= _in_order(row.pk, now)
    if "active" in changes:
        changes |= HEALTHY
    return changes


def _in_order(webhook_id: str, now: datetime) -> dict[str, Any]:
    """Return the standing of a webhook that is recovered: a gate that is open, so that of what
    waits one goes first and the others follow its success."""
    waits = Delivery.objects.filter(webhook=webhook_id, state=Delivery.WAITING).exists()
    return {**HEALTHY, "earliest_possible_trigger": clock.shown(now) if waits else None}


def _apply(row: Webhook, changes: dict[str, Any], user: User, now: datetime) -> None:
    if "active" in changes:
        # Events that committed since: those under way see the lock, and take theirs back.
        cancel_waiting(row.pk, locked=True)
    for name, value in changes.items():
        setattr(row, name, value)
    row.modified_at, row.modified_by = clock.shown(now), user
    row.save(update_fields=[*changes, "modified_at", "modified_by"])


def cancel_waiting(webhook_id: str, *, locked: bool = False) -> int:
    """Cancel the waiting deliveries of a webhook, visibly, and return how many.

    With the webhook's row `locked`, those that an event is just joining are passed over: to wait
    for them would be a deadlock, and that event cancels them itself.
    """
    rows = Delivery.objects.filter(webhook=webhook_id, state=Delivery.WAITING)
    if locked:
        ids_ = list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
        rows = Delivery.objects.filter(pk__in=ids_, state=Delivery.WAITING)
    return rows.update(state=Delivery.CANCELLED)


def recover(webhook_id: str) -> bool:
    """Put a webhook that is out of order in order again; what waited goes, one first.

    Returns whether it was out of order.
    """
    recovered = Webhook.objects.filter(pk=webhook_id, out_of_order=True, active=True).update(
        **_in_order(webhook_id, clock.now())
    )
    if recovered:
        wakeup.after_commit()
    return bool(recovered)


def delete(*webhook_ids: str) -> None:
    """Delete webhooks: nobody sees or calls them from now on, and their rows go in steps.

    A request in flight goes on, and is not recorded.
    """
    with transaction.atomic():
        rows = Webhook.objects.filter(pk__in=webhook_ids)
        list(rows.select_for_update().order_by("pk").values_list("pk"))
        # Nothing is recorded for them any more, so the references stay empty.
        rows.update(deleted_at=clock.now(), active=False, last_success=None, last_failure=None)
    removal.start(webhook_ids)
