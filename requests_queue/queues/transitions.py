"""The only writers of a status: `add` an object to a queue, `move` it to another status.

Both send the change in their own transaction, so receivers commit or roll back with it. Use
`atomic` for a transaction with several changes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from requests_queue import assumptions, clock, topics
from requests_queue.catalog.actors import VENDOR, Actor
from requests_queue.db.rows import get_row, set_columns, update_columns
from requests_queue.errors import ActionNotAllowed, Forbidden
from requests_queue.queues.base import Action, Context, Queue, QueueObject, for_model
from requests_queue.signals import changes_made, object_deleted, queue_changed, storing_changes

# The actor of scheduled jobs.
PLATFORM = Actor()


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a queue: an object, its status before (None: created) and after."""

    object_class: str
    object_id: str
    # Empty for an object that is not about a product.
    product_id: str
    # The accounts whose webhooks are notified.
    account_ids: tuple[str, ...]
    status_from: str | None
    status_to: str
    at: datetime
    actor: Actor = PLATFORM
    # The type of the request, empty where the queue has none.
    type: str = ""


class _Made(threading.local):
    """The changes in this thread's transaction, and the number of open `atomic` blocks."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.blocks = 0


_made = _Made()


@contextmanager
def atomic() -> Iterator[None]:
    """Open a transaction like `transaction.atomic`, and send its changes at the end.

    Lock order: `changes_made` is sent once, before the outermost block ends, so that receivers
    lock the rows of all changes in one order, after the rows of the queues.
    """
    with transaction.atomic():
        first = len(_made.changes)
        _made.blocks += 1
        try:
            yield
            if _made.blocks == 1 and _made.changes:
                storing_changes.send(sender=None)
                changes_made.send(sender=None, changes=tuple(_made.changes))
        except BaseException:
            # The savepoint rolls these back.
            del _made.changes[first:]
            raise
        finally:
            _made.blocks -= 1
            if not _made.blocks:
                _made.changes.clear()


def add(row: QueueObject, actor: Actor = PLATFORM, *, first: str = "") -> None:
    """Insert an object in its first status, and send the change.

    With `first`, another status, it is inserted in that and moved on at once: two changes. Call
    inside a transaction that also creates what the object refers to.
    """
    queue, last = for_model(type(row)), row.status
    row.status = first or last
    row.save(force_insert=True)
    is_silent = row.status in queue.silent_statuses
    if not is_silent or assumptions.value("draft_events") == "created":
        _emit_change(queue, row, None, clock.now(), actor)
    else:
        topics.announce_objects(row.parties(), row.pk)
    if row.status != last:
        update_columns(row, status=last)
        _emit_change(queue, row, first, clock.now())


def move(
    row_class: type[QueueObject],
    pk: str,
    name: str,
    actor: Actor,
    data: Mapping[str, Any] | None = None,
) -> Any:
    """Take the action `name` with the object `pk`, and return the updated object.

    Raises Missing, Forbidden (not this account's action), ActionNotAllowed (wrong status), or
    what the action's own check raises. Of two concurrent actions one wins, the other is not
    allowed. An action that does not change the status is not a change of the queue.
    """
    queue = for_model(row_class)
    with atomic():
        row = get_row(row_class._default_manager.select_for_update(), pk)
        chosen = _choose(queue, row, name, actor)
        if chosen.body is not None:
            data = chosen.body.check(data or {})
        context = Context(actor, data or {}, clock.now())
        before = row.status
        _write(queue, row, chosen, context)
        if chosen.effect:
            chosen.effect(row, context)
        if row.status != before:
            _emit_change(queue, row, before, context.now, actor)
        else:
            topics.announce_objects(row.parties(), row.pk)
    return row


def delete(row: QueueObject) -> None:
    """Delete an object, a draft, with what other apps keep about it.

    Call inside a transaction. Its id may be used again by the next object.
    """
    pk = row.pk
    row.delete()
    topics.announce_objects(row.parties(), pk)
    object_deleted.send(sender=type(row), object_id=pk)


def emit_unchanged(row: QueueObject, at: datetime) -> None:
    """Send a change that did not change the status; call in the transaction of the change."""
    _emit_change(for_model(type(row)), row, row.status, at)


def _choose(queue: Queue, row: QueueObject, name: str, actor: Actor) -> Action:
    candidates, roles = queue.by_name[name], actor.roles_for(row)
    if all(roles.isdisjoint(m.actors_for(row)) for m in candidates):
        # Checked before the status: the role never takes the action.
        other = any(roles & m.actors for m in candidates)
        why = f": the other party of {row.pk} takes it" if other else ""
        raise Forbidden(f"{name} is not for a {actor.role}{why}.")
    in_status = [m for m in candidates if row.status in m.source]
    if not in_status:
        allowed = sorted({s for m in candidates for s in m.source})
        raise not_allowed(
            queue, f"{row.pk} is {row.status}: {name} is for {' or '.join(allowed)} only."
        )
    kind = getattr(row, "type", None)
    of_type = [m for m in in_status if m.types is None or kind in m.types]
    if not of_type:
        raise ActionNotAllowed(f"{name} is not for requests of type {kind}.")
    for candidate in of_type:
        if not roles.isdisjoint(candidate.actors_for(row)):
            return candidate
    raise Forbidden(f"{name} is not for a {actor.role}.")


def not_allowed(queue: Queue, why: str) -> ActionNotAllowed:
    """Return the refusal for an object's status, in the words of Connect if they are known."""
    if queue.not_allowed:
        return ActionNotAllowed(queue.not_allowed, code="VAL_001")
    return ActionNotAllowed(why, code=assumptions.value("wrong_status_code"))


def _write(queue: Queue, row: QueueObject, chosen: Action, context: Context) -> None:
    columns: dict[str, Any] = {"status": chosen.target, "updated": clock.shown(context.now)}
    if row.assignee_id is None and context.actor.role == VENDOR:
        columns["assignee"] = context.actor.user
    if chosen.prepare:
        columns |= chosen.prepare(row, context)
    if columns["status"] not in chosen.targets:
        raise ValueError(f"{chosen.name} does not declare the outcome {columns['status']}.")
    won = type(row)._default_manager.filter(pk=row.pk, status=row.status).update(**columns)
    if not won:
        raise not_allowed(queue, f"{row.pk} was changed by another request at the same time.")
    set_columns(row, columns)


def _emit_change(
    queue: Queue, row: QueueObject, before: str | None, at: datetime, actor: Actor = PLATFORM
) -> None:
    change = Change(
        object_class=queue.object_class,
        object_id=row.pk,
        product_id=row.product_id or "",
        account_ids=row.parties(),
        status_from=before,
        status_to=row.status,
        at=at,
        actor=actor,
        type=getattr(row, "type", ""),
    )
    # Outside `atomic`, a change and what follows from it are one block.
    with nullcontext() if _made.blocks else atomic():
        first = len(_made.changes)
        try:
            # Before sending: a receiver may make further changes.
            _made.changes.append(change)
            queue_changed.send(sender=type(row), change=change)
        except BaseException:
            # The caller may catch it behind a savepoint.
            del _made.changes[first:]
            raise
