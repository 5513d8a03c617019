"""Create, edit, enable, disable, recover and delete webhooks.

The API, the admin and the portal all come through here. Rows are locked in the order of the
delivery path: deliveries, then webhooks. What ends a backoff is recorded with who did it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from requests_queue import clock, ids
from requests_queue.catalog.models import Account, User
from requests_queue.errors import Missing
from webhooks import removal
from webhooks.delivery import wakeup
from webhooks.models import ClearedBackoff, Delivery, Webhook

# An edit of one of these means that older failures say nothing of the webhook as it now is.
CALL_FIELDS = frozenset({"external_url", "http_method", "jwt_secret", "headers", "data"})
EDITABLE = CALL_FIELDS | {"label", "description", "active"}
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

    Disabling cancels pending deliveries, and enabling starts without a backoff; a change of how
    the webhook is called clears its backoff; and any edit that leaves it active recovers it from
    being out of order. Raises Missing where it has been deleted meanwhile.
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
        # After the former: one delivery goes first here, whatever was edited.
        changes |= _recovered(row.pk, now)
    if "active" in changes:
        changes |= HEALTHY
    return changes


def _recovered(webhook_id: str, now: datetime) -> dict[str, Any]:
    """Return the backoff of a webhook that is recovered: one that has just ended, so that one
    pending delivery goes first and the others follow its success."""
    if not Delivery.objects.filter(webhook=webhook_id, state=Delivery.WAITING).exists():
        return {**HEALTHY}
    return {**HEALTHY, "earliest_possible_trigger": clock.shown(now), "gate_closed_at": now}


def _apply(row: Webhook, changes: dict[str, Any], user: User, now: datetime) -> None:
    if "active" in changes:
        # Events that committed since: those in flight see the lock, and take theirs back.
        cancel_waiting(row.pk, locked=True)
    if HEALTHY.keys() <= changes.keys():
        cause = ClearedBackoff.DISABLED if "active" in changes else ClearedBackoff.EDITED
        _record_cleared(row, cause, user, now, _labels(changes))
    for name, value in changes.items():
        setattr(row, name, value)
    row.modified_at, row.modified_by = clock.shown(now), user
    row.save(update_fields=[*changes, "modified_at", "modified_by"])


def _record_cleared(
    row: Webhook, cause: str, user: User | None, now: datetime, detail: str = ""
) -> None:
    """Record what ends the backoff of the locked row, if it has one; call before it changes."""
    if not row.round and not row.out_of_order:
        return
    ClearedBackoff.objects.create(
        webhook=row, at=now, cause=cause, user=user, detail=detail, began_at=row.gate_closed_at,
        until=row.earliest_possible_trigger, failures=row.round, was_out_of_order=row.out_of_order,
    )  # fmt: skip


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


def _labels(changes: Mapping[str, Any]) -> str:
    """Return the names of the settings among the changes, as forms show them."""
    labels = {field.name: str(field.verbose_name) for field in Webhook._meta.fields}
    return ", ".join(labels[name] for name in changes if name in EDITABLE)


@transaction.atomic
def recover(webhook_id: str, user: User | None = None) -> bool:
    """Recover a webhook that is out of order; pending deliveries are sent, one of them first.

    Returns whether it was out of order; `user` is who did it.
    """
    rows = Webhook.objects.select_for_update().filter(pk=webhook_id)
    row = rows.filter(out_of_order=True, active=True).first()
    if row is None:
        return False
    now = clock.now()
    _record_cleared(row, ClearedBackoff.RECOVERED, user, now)
    rows.update(**_recovered(webhook_id, now))
    wakeup.after_commit()
    return True


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
