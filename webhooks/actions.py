"""Webhook actions for the API, the portal and the admin.

Rows are locked in the order of the delivery path: deliveries, then webhooks. Whatever ends a
backoff is recorded together with its user.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from requests_queue import assumptions, clock, ids
from requests_queue.catalog import audit
from requests_queue.catalog.audit import Action
from requests_queue.catalog.models import Account, User
from requests_queue.db import sql
from requests_queue.errors import Missing, Refused
from webhooks import announcements, cleanup
from webhooks.delivery import fan_out, wakeup
from webhooks.models import ClearedBackoff, Delivery, Webhook
from webhooks.states import BACKOFF_COLUMNS, BackoffState
from webhooks.validation_rules import FIELDS

# After an edit of one of these, older failures say nothing about the webhook.
REQUEST_FIELDS = frozenset({"external_url", "http_method", "jwt_secret", "headers", "data"})

HEALTHY: Mapping[str, Any] = dict(zip(BACKOFF_COLUMNS, astuple(BackoffState()), strict=True))


@transaction.atomic
def create(account: Account, user: User, fields: Mapping[str, Any]) -> Webhook:
    """Create a webhook from validated fields."""
    now = clock.shown(clock.now())
    row = ids.create(
        Webhook(account=account, created_by=user, created_at=now, **fields),
        "webhook",
    )
    audit.record(Action.WEBHOOK_CREATE, "webhook", row.pk, account=account.pk, user=user)
    announcements.announce(account.pk, row.pk)
    return row


def edit(webhook_id: str, user: User, fields: Mapping[str, Any]) -> Webhook:
    """Change a webhook by validated fields and return it.

    Disabling cancels pending deliveries; enabling starts without a backoff; a change of the
    request's settings clears the backoff; and any edit of an active webhook that is out of order
    recovers it. Raises Missing if it has been deleted.
    """
    with transaction.atomic():
        if fields.get("active") is False:
            cancel_pending(webhook_id)
        row = Webhook.objects.select_for_update().filter(pk=webhook_id).first()
        if row is None:
            raise Missing(webhook_id)
        now = clock.now()
        _apply(row, _changes(row, fields, now), user, now)
        announcements.announce(row.account_id, row.pk)
        if row.active:
            wakeup.after_action()
    return row


def _changes(row: Webhook, fields: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    changes = {k: v for k, v in fields.items() if getattr(row, k) != v}
    if REQUEST_FIELDS & changes.keys():
        changes |= {**HEALTHY, "revision": row.revision + 1}
    if row.out_of_order and row.active:
        # Overrides HEALTHY: after out of order, one delivery goes first.
        changes |= _recovered(row.pk, now)
    if "active" in changes:
        changes |= HEALTHY
    return changes


def _recovered(webhook_id: str, now: datetime) -> dict[str, Any]:
    """Return the backoff of a recovered webhook: one that has just ended.

    One pending delivery starts first, and the others follow its success.
    """
    if not Delivery.objects.filter(webhook=webhook_id, state=Delivery.WAITING).exists():
        return {**HEALTHY}
    return {**HEALTHY, "earliest_possible_trigger": clock.shown(now), "gate_closed_at": now}


def _apply(row: Webhook, changes: dict[str, Any], user: User, now: datetime) -> None:
    if "active" in changes:
        # Cancels deliveries of events that committed since; events that have not committed yet
        # wait for the lock, and then cancel their own.
        cancel_pending(row.pk, locked=True)
    names = [name for name in changes if name in FIELDS]
    if HEALTHY.keys() <= changes.keys():
        cause = ClearedBackoff.DISABLED if "active" in changes else ClearedBackoff.EDITED
        # As forms name the settings.
        labels = {field.name: str(field.verbose_name) for field in Webhook._meta.fields}
        _clear(row, cause, user, now, ", ".join(labels[name] for name in names))
    for name, value in changes.items():
        setattr(row, name, value)
    row.modified_at, row.modified_by = clock.shown(now), user
    row.save(update_fields=[*changes, "modified_at", "modified_by"])
    action = Action.WEBHOOK_EDIT
    if names == ["active"]:
        action = Action.WEBHOOK_ENABLE if row.active else Action.WEBHOOK_DISABLE
    audit.record(action, "webhook", row.pk, account=row.account_id, user=user, fields=names)


def _clear(row: Webhook, cause: str, user: User | None, now: datetime, detail: str = "") -> None:
    """Make the deliveries due that wait alone, and record what ends that and the backoff.

    Call with the row locked, before it changes. Deliveries that another transaction holds are
    skipped: it claims them, or records their attempts and sees the edit then.
    """
    due_dates = dict(
        sql.fetch(
            f"""
            SELECT id, due_at FROM webhooks_delivery {sql.indexed_by("delivery_waiting")}
            WHERE webhook_id = %s AND state = 'waiting' AND NOT forced AND losses > 0
            {sql.skip_locked()}
            """,
            [row.pk],
        )
    )
    Delivery.objects.filter(pk__in=due_dates).update(due_at=None, losses=0)
    if assumptions.value("event_mode") == "coalesce":
        fan_out.coalesce(list(due_dates))
    if not row.round and not row.out_of_order and not any(due_dates.values()):
        return
    ClearedBackoff.of(row.pk, row.backoff, now, cause, user=user, detail=detail).save()


def cancel_pending(webhook_id: str, *, locked: bool = False) -> int:
    """Mark the pending deliveries of a webhook as cancelled and return their number.

    With the webhook `locked`, deliveries that an event is just joining are skipped: to wait for
    them could deadlock, and that event cancels them itself.
    """
    rows = Delivery.objects.filter(webhook=webhook_id, state=Delivery.WAITING)
    if locked:
        pks = list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
        rows = Delivery.objects.filter(pk__in=pks, state=Delivery.WAITING)
    return rows.update(state=Delivery.CANCELLED)


@transaction.atomic
def recover(webhook_id: str, user: User | None = None) -> bool:
    """Recover a webhook that is out of order, and return whether it was.

    Pending deliveries are sent, one of them first.
    """
    rows = Webhook.objects.select_for_update().filter(pk=webhook_id)
    row = rows.filter(out_of_order=True, active=True).first()
    if row is None:
        return False
    now = clock.now()
    _clear(row, ClearedBackoff.RECOVERED, user, now)
    rows.update(**_recovered(webhook_id, now))
    audit.record(Action.WEBHOOK_RECOVER, "webhook", row.pk, account=row.account_id, user=user)
    announcements.announce(row.account_id, row.pk)
    wakeup.after_action()
    return True


def delete(*webhook_ids: str) -> None:
    """Mark webhooks as deleted, so that they are neither shown nor called.

    Their rows are removed in steps. The attempt of a request in flight is not recorded.
    """
    with transaction.atomic():
        rows = Webhook.objects.filter(pk__in=webhook_ids)
        locked = rows.select_for_update().order_by("pk").values_list("account_id", "pk")
        for account_id, pk in locked:
            announcements.announce(account_id, pk)
            audit.record(Action.WEBHOOK_DELETE, "webhook", pk, account=account_id)
        # No later attempt is recorded, so these references stay empty.
        rows.update(deleted_at=clock.now(), active=False, last_success=None, last_failure=None)
    cleanup.remove_now(webhook_ids)


# A message, and the delivery that the action created, if any.
ActionResult = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class WebhookAction:
    """A button of the portal and the admin."""

    name: str
    label: str
    run: Callable[[Webhook, User], ActionResult]
    is_available: Callable[[Webhook], bool]


@transaction.atomic
def trigger(row: Webhook, user: User) -> Delivery:
    """Trigger now; raises Refused for a disabled webhook, Missing for a deleted one."""
    delivery = fan_out.trigger(row)
    audit.record(Action.WEBHOOK_TRIGGER, "webhook", row.pk, account=row.account_id, user=user)
    return delivery


def reveal(row: Webhook, user: User) -> None:
    """Record that a user is shown the secret and the header values."""
    audit.record(
        Action.WEBHOOK_REVEAL,
        "webhook",
        row.pk,
        account=row.account_id,
        user=user,
        fields=["jwt_secret", *(["headers"] if row.headers else [])],
    )


def _trigger(row: Webhook, user: User) -> ActionResult:
    return f"{row.label} triggered.", trigger(row, user).pk


def _enable(row: Webhook, user: User) -> ActionResult:
    edit(row.pk, user, {"active": True})
    return f"{row.label} enabled.", None


def _disable(row: Webhook, user: User) -> ActionResult:
    edit(row.pk, user, {"active": False})
    return f"{row.label} disabled. Pending deliveries are cancelled.", None


def _recover(row: Webhook, user: User) -> ActionResult:
    if not recover(row.pk, user):
        raise Refused("WH_002", f"{row.pk} is not out of order.")
    return f"{row.label} has recovered. Pending deliveries will be sent.", None


ACTIONS = {
    action.name: action
    for action in (
        WebhookAction("trigger", "Trigger now", _trigger, lambda row: True),
        WebhookAction("enable", "Enable", _enable, lambda row: not row.active),
        WebhookAction("disable", "Disable", _disable, lambda row: row.active),
        WebhookAction("recover", "Recover", _recover, lambda row: row.out_of_order and row.active),
    )
}
