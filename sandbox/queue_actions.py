"""Actions and validations that the caller runs on behalf of another party."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from requests_queue import transitions
from requests_queue.catalog.actors import SYSTEM, Actor
from requests_queue.catalog.models import User
from requests_queue.errors import Forbidden, Invalid, Missing
from requests_queue.queues import base, validation
from requests_queue.queues.base import QueueObject

Params = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Validation:
    """Result of a validation: whether a validator was called, and the parameters before and
    after."""

    row: QueueObject
    called: bool
    before: Params
    after: Params


def run(pk: str, name: str, data: Mapping[str, Any], user: User) -> QueueObject:
    """Run an action of an object as the party that may run it.

    The caller must be a party to the object. Raises Missing, Invalid, or the queue's refusal.
    """
    queue, row = _get_object(pk, user)
    if name not in queue.by_name:
        raise Invalid("action", f"Unknown action {name}. Available: {', '.join(queue.by_name)}.")
    actor = _actor(queue, row, name, user)
    changed: QueueObject = transitions.move(queue.model, pk, name, actor, data)
    return changed


def validate(pk: str, data: Mapping[str, Any], user: User) -> Validation:
    """Update and validate a draft or an inquiry as its distributor.

    The caller must be a party to the object. Raises Missing, Invalid, or the validation's refusal.
    """
    queue, row = _get_object(pk, user)
    target = validation.find(queue.object_class)
    if target is None:
        raise Invalid("id", f"A {queue.object_class} has no validation.")
    before = target.params_of(target.shown(pk))
    called = validation.validate(target, pk, data, Actor(None, row.provider))
    row.refresh_from_db()
    return Validation(row, called, before, target.params_of(target.shown(pk)))


def _get_object(pk: str, user: User) -> tuple[base.Queue, QueueObject]:
    """Return an object and its queue if the user's account is a party to it; raises Missing."""
    match = base.find_object(pk)
    if match is None or user.account is None:
        raise Missing(pk)
    queue, row = match
    if not queue.model.visible_to(user.account).filter(pk=pk).exists():
        raise Missing(pk)
    return queue, row


def _actor(queue: base.Queue, row: QueueObject, name: str, user: User) -> Actor:
    """Return the caller if the caller may run the action, else the party that may.

    An action that is not allowed in the current status gets the actor of its other statuses, so
    that `transitions` raises the error.
    """
    moves = queue.by_name[name]
    current = [move for move in moves if row.status in move.source]
    roles = {role for move in current or moves for role in move.actors - {SYSTEM}}
    own = Actor(user, user.account)
    if not own.roles_for(row).isdisjoint(roles):
        return own
    for account in (row.vendor, row.provider):
        other = Actor(None, account)
        if not other.roles_for(row).isdisjoint(roles):
            return other
    raise Forbidden(f"{name} is an action of the platform.")
